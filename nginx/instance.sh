#!/bin/sh
# Starts one instance of rtserver behind nginx.conf: `sh nginx/instance.sh NAME PORT`, from the project's root folder.
# nginx routes by NAME. Variables that are already set stay.
set -eu

PATH="$PWD/.venv/bin:$PATH"
RTSERVER_INSTANCE="$1"
: "${RTSERVER_REDIS_URL:=${REDIS_URL:-redis://127.0.0.1:6379/0}}"
: "${RTSERVER_TRUSTED_PROXIES:=127.0.0.1}"
: "${RTSERVER_CORS_ORIGINS:=http://localhost:8000,http://127.0.0.1:8000}"
# honcho kills its processes after five seconds.
: "${RTSERVER_DRAIN_DELAY:=0}" "${RTSERVER_DRAIN_SECONDS:=3}"
export RTSERVER_DRAIN_DELAY RTSERVER_DRAIN_SECONDS
export PATH RTSERVER_INSTANCE RTSERVER_REDIS_URL RTSERVER_TRUSTED_PROXIES RTSERVER_CORS_ORIGINS

exec rtserver serve --port "$2"
