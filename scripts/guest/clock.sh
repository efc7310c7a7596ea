#!/usr/bin/env bash
# Runs the scenario `clock` of the fault harness in a throwaway guest, whose clock
# may be set as one likes. Arguments are handed on to edgefault run.
#
#   scripts/guest/clock.sh [--seed=7 ...]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o "$work/edgeloop" ./cmd/edgeloop
CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o "$work/edgefault" ./cmd/edgefault
cat >"$work/script" <<EOF
export EDGEFAULT_SET_CLOCK=1
exec edgefault run clock --binary=/bin/edgeloop --work=/tmp/clock --devices=8 --load=1s $*
EOF
scripts/guest/guest.sh -m 1G -t "${CLOCK_LIMIT:-900}" "$work/script" "$work/edgeloop" "$work/edgefault"
