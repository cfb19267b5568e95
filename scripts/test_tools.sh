#!/usr/bin/env bash
# Installs the programs that the tests drive, where they are missing: Redis, Postgres, RabbitMQ, nginx, HAProxy, Caddy,
# Chromium, Node.js, and systemd's checker of units where the system has a package of it.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive

has() { command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ]; }
has_postgres() { has initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; }
has_rabbitmq() { has rabbitmq-server || [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ]; }
has_systemd_package() { command -v apt-get >/dev/null || command -v dnf >/dev/null; }
has_chromium() { has chromium || has chromium-browser || has google-chrome || has google-chrome-stable; }

missing=()
has redis-server || missing+=(redis)
has nginx || missing+=(nginx)
has haproxy || missing+=(haproxy)
has caddy || missing+=(caddy)
has_postgres || missing+=(postgres)
has_rabbitmq || missing+=(rabbitmq)
has_chromium || missing+=(chromium)
has node || missing+=(node)
has npm || missing+=(npm)
has ps || missing+=(ps)
has systemd-analyze || ! has_systemd_package || missing+=(systemd)
[ ${#missing[@]} -eq 0 ] && exit 0

manager=$(for name in apt-get dnf apk brew; do if command -v "$name" >/dev/null; then echo "$name"; break; fi; done)

# The names of one program's packages, for this package manager.
packages() {
  case "$manager:$1" in
    apt-get:redis) echo redis-server ;;
    apt-get:postgres) echo postgresql ;;
    apt-get:rabbitmq | dnf:rabbitmq | apk:rabbitmq) echo rabbitmq-server ;;
    apt-get:chromium) echo chromium fonts-dejavu-core ;;
    dnf:postgres) echo postgresql-server postgresql ;;
    apk:postgres) echo postgresql postgresql-client ;;
    apk:chromium) echo chromium font-dejavu ;;
    brew:postgres) echo postgresql@17 ;;
    brew:chromium) echo --cask chromium ;;
    apt-get:node | dnf:node | apk:node) echo nodejs ;;
    dnf:npm) echo nodejs-npm ;;
    brew:npm) echo node ;;
    apt-get:ps | apk:ps) echo procps ;;
    dnf:ps) echo procps-ng ;;
    *) echo "$1" ;;
  esac
}

as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }

install() {
  case "$manager" in
    apt-get) as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" ;;
    dnf) as_root dnf install -y "$@" ;;
    apk) as_root apk add "$@" ;;
    brew) brew install "$@" ;;
    *)
      echo "The tests need ${missing[*]}: install them by hand, then run make test again." >&2
      exit 1
      ;;
  esac
}

echo "Installing for the tests: ${missing[*]}"
if [ "$manager" = apt-get ]; then as_root apt-get update -q; fi
for program in "${missing[@]}"; do
  # shellcheck disable=SC2046  # several words are several packages
  install $(packages "$program") </dev/null
done
