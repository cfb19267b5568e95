#!/usr/bin/env bash
# Writes requirements.lock and package-lock.json anew, with the newest versions that the registries offer.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Use the oldest Python that rtserver supports: what runs there also runs on newer ones.
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
"$work/venv/bin/python" -m pip freeze --exclude-editable >"$work/frozen"
"$work/venv/bin/python" scripts/lock_markers.py <"$work/frozen" >requirements.lock

if command -v npm >/dev/null; then
  rm -f package-lock.json
  npm install --package-lock-only --omit-lockfile-registry-resolved --ignore-scripts --no-audit --no-fund --loglevel=error
fi
echo "Written: requirements.lock ($(grep -c == requirements.lock) packages), package-lock.json"
