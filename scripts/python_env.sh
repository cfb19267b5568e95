#!/usr/bin/env bash
# Makes .venv and installs rtserver into it, at the versions in requirements.lock.
# Usage: python_env.sh [EXTRA]     PYTHON=python3.12 chooses the interpreter.
set -euo pipefail
cd "$(dirname "$0")/.."
extra=${1:-}

new_enough() { command -v "$1" >/dev/null && "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; }

find_python() {
  local name
  for name in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
    if new_enough "$name"; then
      echo "$name"
      return
    fi
  done
  echo "rtserver needs Python 3.11 or newer; found: $("${PYTHON:-python3}" --version 2>&1 || echo none)." >&2
  echo "Install one and name it: make run PYTHON=python3.12" >&2
  return 1
}

if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
  python=$(find_python)
  echo "Making .venv with $("$python" --version)"
  if ! "$python" -m venv --clear .venv; then
    echo "Python's venv module is incomplete here. On Debian and Ubuntu: apt install python3-venv" >&2
    exit 1
  fi
fi

echo "Installing rtserver into .venv${extra:+ with its $extra extra}"
.venv/bin/python -m pip install --quiet --disable-pip-version-check \
  --constraint requirements.lock --editable ".${extra:+[$extra]}"
