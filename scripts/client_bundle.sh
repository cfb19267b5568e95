#!/usr/bin/env bash
# Installs the npm packages and copies the browser builds of the Socket.IO client to where rtserver serves them.
# Usage: client_bundle.sh [--dev]
#   --dev   also install what `make check` and the tests need; a failure is then an error, not a warning.
set -euo pipefail
cd "$(dirname "$0")/.."

give_up() {
  echo "$1" >&2
  [ "$dev" ] && exit 1
  echo "rtserver runs without it, but /socket.io/socket.io.js and the demo pages need it." >&2
  exit 0
}

dev=
[ "${1:-}" = --dev ] && dev=1
# npm writes a copy of the lock file after each install. The compiler is there only after an install with --dev.
if [ node_modules/.package-lock.json -ot package-lock.json ] || { [ "$dev" ] && [ ! -x node_modules/.bin/tsc ]; }; then
  command -v npm >/dev/null || give_up "The npm packages are missing, as npm is not installed (apt install npm, brew install node)."
  echo "Fetching the Socket.IO browser client${dev:+ and the tools of the checks} from npm"
  # shellcheck disable=SC2046  # no word at all with --dev
  npm ci $([ "$dev" ] || echo --omit=dev) --ignore-scripts --no-audit --no-fund --loglevel=error || give_up "npm could not fetch its packages."
fi
if [ -x .venv/bin/python ]; then python=.venv/bin/python; else python=python3; fi
exec "$python" scripts/vendor_client.py
