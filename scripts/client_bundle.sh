#!/usr/bin/env bash
# Fetches the official Socket.IO client from npm and puts its browser builds where rtserver serves them.
# Without npm, or without a network, rtserver runs all the same: that is a warning, or with --required an error.
set -euo pipefail
cd "$(dirname "$0")/.."

give_up() {
  echo "$1" >&2
  echo "rtserver runs without it, but /socket.io/socket.io.js and the demo pages need it." >&2
  [ "${required:-}" ] && exit 1
  exit 0
}

[ "${1:-}" = --required ] && required=1
# What npm installed last is as it should be: npm keeps a copy of the lock file there.
if [ node_modules/.package-lock.json -ot package-lock.json ]; then
  command -v npm >/dev/null || give_up "The browser client is missing, as npm is not installed (apt install npm, brew install node)."
  echo "Fetching the Socket.IO browser client from npm"
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error || give_up "npm could not fetch the browser client."
fi
if [ -x .venv/bin/python ]; then python=.venv/bin/python; else python=python3; fi
exec "$python" scripts/vendor_client.py
