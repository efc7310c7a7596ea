#!/usr/bin/env bash
# Builds what the comparison runs: the node, the fleet, the peers' echo servers,
# the raw loop in C, and the runner. Everything goes to bin/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if ! command -v gcc >/dev/null; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends gcc libc6-dev >/dev/null
fi
# One row only; RUNLEVEL keeps the package from starting a broker of its own.
if ! command -v mosquitto >/dev/null; then
  apt-get update -qq
  RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends mosquitto >/dev/null ||
    echo "mosquitto is not to be had: its row will be missing" >&2
fi
mkdir -p bin/peers
go build -trimpath -o bin/ ./cmd/edgeloop ./cmd/edgebench
gcc -O2 -Wall -Wextra -pthread -o bin/peers/rawc bench/compare/servers/rawc/rawc.c
cd bench/compare
go build -trimpath -o ../../bin/peers/ ./servers/...
go build -trimpath -o ../../bin/compare .
