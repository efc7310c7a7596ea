#!/usr/bin/env bash
# bench-build.sh [tls|mqtt]
# Builds what the comparison runs: the node, the fleet, the peers' echo servers,
# the raw loop in C, and the runner. Everything goes to bin/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/apt.sh

command -v gcc >/dev/null || apt_install gcc libc6-dev
# One row only, so it may be missing. Debian's lies where an ordinary user's PATH
# does not lead.
PATH=$PATH:/usr/sbin command -v mosquitto >/dev/null || apt_install mosquitto ||
  echo "mosquitto is not to be had: its row will be missing" >&2
if [ "${1:-}" = tls ]; then
  PATH=$PATH:/usr/sbin command -v nginx >/dev/null || apt_install nginx-light
  PATH=$PATH:/usr/sbin command -v haproxy >/dev/null || apt_install haproxy
fi
mkdir -p bin/peers
go build -trimpath -o bin/ ./cmd/edgeloop ./cmd/edgebench
gcc -O2 -Wall -Wextra -pthread -o bin/peers/rawc bench/compare/servers/rawc/rawc.c
cd bench/compare
if [ "${1:-}" = mqtt ]; then
  go build -trimpath -o ../../bin/peers/ ./servers/mochi
else
  go build -trimpath -o ../../bin/peers/ ./servers/...
fi
go build -trimpath -o ../../bin/compare .
