#!/usr/bin/env bash
# Every trick of bench/fault/tricks against real nodes, beside twenty devices. Writes
# bench/results/DATE-attacks.md and fails when an attacker got what he should not, or
# somebody else felt it. ATTACK_SEED (1) is the seed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
page=bench/results/$(date -u +%F)-attacks.md
commit=$(git describe --always --abbrev=12 --dirty)
raw=$(mktemp)
trap 'rm -f "$raw"' EXIT
began=$SECONDS code=0
bin/edgefault run attacks --limit=10m --seed="${ATTACK_SEED:-1}" --out="$raw" || code=$?
[ "$code" -le 1 ] || exit "$code"
{
	echo "# Attacks, $(date -u +%F)"
	echo
	echo "What attackers try at each door of a node ([the tricks](../fault/tricks)), what they got, and what twenty devices that"
	echo "send 25 messages a second felt: the 99th of a hundred waits, before and meanwhile. It may be twice what it was before,"
	echo "or 200 ms for an acknowledgement and 150 ms for a ping where that is more: node, devices and attackers share the cores."
	echo "Memory may grow by 96 MiB. Afterwards the log is held against what the devices wrote down."
	echo
	bin/edgefault table "$raw"
	echo
	echo "Command: \`make attacks\`, $((SECONDS - began)) s, commit $commit. Machine: $(nproc) cores, Linux $(uname -r), $(go env GOVERSION)."
} >"$page"
exit "$code"
