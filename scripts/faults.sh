#!/usr/bin/env bash
# The long fault runs, as root: FAULT_ROUNDS (200) kills under load, every scenario
# for FAULT_LIVES (3) lives, and 20 rounds of 10,000 devices that come and leave.
# Writes bench/results/DATE-faults-long.jsonl and .md, and fails when a promise was
# broken. FAULT_SEED (1) is the first seed of each.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
ulimit -n "$(ulimit -Hn)"
seed=${FAULT_SEED:-1} lives=${FAULT_LIVES:-3} kills=${FAULT_ROUNDS:-200}
day=$(date -u +%F)
page=bench/results/$day-faults-long
commit=$(git describe --always --abbrev=12 --dirty)
rm -f "$page.jsonl"

code=0 commands=()
fault() {
	commands+=("edgefault run $* --seed=$seed")
	bin/edgefault run "$@" --seed="$seed" --out="$page.jsonl" || code=1
}
fault kill --devices=300 --rounds=10 --lives=$(((kills + 9) / 10)) --load=1500ms
fault --devices=200 --rounds=4 --load=1s --scale=3 --lives="$lives"
fault leak --devices=10000 --rounds=20

{
	echo "# Faults, $day"
	echo
	echo "What \`edgefault\` did to real nodes, a life being one log: every acknowledged message must be in it once and"
	echo "in order, presence true, nobody dropped, memory and descriptors back ([how](../../docs/testing.md)). Only truncate"
	echo "may lose something: it cuts off what was synced. The log of flood has messages of its hostile devices too."
	echo
	bin/edgefault table "$page.jsonl"
	echo
	echo "Commands, by \`make faults-long\`: $(printf '`%s`, ' "${commands[@]}")commit $commit. Machine: $(nproc) cores,"
	echo "Linux $(uname -r), $(go env GOVERSION). Raw results: [$(basename "$page").jsonl]($(basename "$page").jsonl)."
} >"$page.md"
exit "$code"
