#!/usr/bin/env bash
# Fuzzing. A finding is written to the package's testdata/fuzz: commit it with its fix.
#
#	fuzz.sh [TIME]      every target of the module for TIME (30s), one after another
#	fuzz.sh long TIME   all of them, JOBS (one for each core) at a time, and the table
#	                    of it in bench/results; logs stay in bin/fuzz
#	fuzz.sh table DIR   the table alone, from a directory of logs PKG.TARGET.log;
#	                    FUZZ_COMMIT and FUZZ_COMMAND say what they are logs of
#
# ONLY, an expression, chooses among the lines "package target".
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# targets prints "package target" for each fuzz target.
targets() {
	local dir
	for dir in $(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.Dir}}{{end}}' ./...); do
		grep -hoE '^func Fuzz[A-Z_][A-Za-z0-9_]*' /dev/null "$dir"/*_test.go |
			sort | sed "s#^func #${dir#"$PWD"/} #" | grep -E "${ONLY:-.}" || true
	done
}

# run fuzzes one target with the binary that was built for its package. The corpus
# is go's own, so it grows from run to run.
run() {
	local pkg=$1 name=$2 out=$PWD/bin/fuzz/${1//\//-} TIMEFORMAT='%U %S'
	cd "$pkg" # run is called in a shell of its own
	{ time "$out.test" -test.run='^$' -test.fuzz="^$name\$" -test.fuzztime="$fuzztime" -test.parallel=1 \
		-test.timeout=0 -test.fuzzcachedir="$cache/$pkg" >"$out.$name.log" 2>&1; } 2>"$out.$name.cpu" ||
		echo "fuzz: finding in $pkg $name, see $out.$name.log"
}

# fuzz fuzzes one target. When its time ends while a worker is about to answer, go's
# coordinator may call that a failure, "context deadline exceeded", without an input that
# fails: that is no finding, and the target runs once more.
fuzz() {
	local log again
	log=$(mktemp) && trap 'rm -f "$log"' RETURN
	for again in yes no; do
		go test -run='^$' -fuzz="^$2\$" -fuzztime="$fuzztime" "./$1" 2>&1 | tee "$log" && return 0
		grep -qx ' *context deadline exceeded' "$log" && ! grep -q 'Failing input' "$log" && [ $again = yes ] || return 1
		echo "fuzz: the time ended in the middle of an answer, once more"
	done
}

long() {
	local pkg name all=()
	cache=$(go env GOCACHE)/fuzz/$(go list -m)
	mkdir -p bin/fuzz
	rm -f bin/fuzz/*.log bin/fuzz/*.cpu
	mapfile -t all < <(targets)
	for pkg in $(printf '%s\n' "${all[@]% *}" | uniq); do
		echo "fuzz: build $pkg"
		go test -c -fuzz=Fuzz -o "bin/fuzz/${pkg//\//-}.test" "./$pkg"
	done
	for name in "${all[@]}"; do
		while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n || true; done
		echo "fuzz: $name for $fuzztime"
		# shellcheck disable=SC2086 # a package and a target
		run $name &
	done
	wait
}

# table prints what the logs of a directory say. docs/testing.md knows what each
# target is compared with.
table() {
	local log base pkg name findings=0 cpu against
	cat <<-END
		# Fuzzing, $(date -u +%F)

		- commit: $(git rev-parse --short "${FUZZ_COMMIT:-HEAD}")
		- machine: $(grep -c ^processor /proc/cpuinfo) × $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1), $(uname -sr), $(go env GOVERSION)
		- command: \`${FUZZ_COMMAND:-make fuzz-long FUZZTIME=$fuzztime JOBS=$jobs}\`; each target has one worker

		| target | package | compared with | wall time | CPU time | executions | new inputs | corpus | findings |
		|---|---|---|---|---|---|---|---|---|
	END
	for log in "$1"/*.Fuzz*.log; do
		base=$(basename "$log" .log) pkg=${base%.*} name=${base##*.}
		pkg=${pkg//-/\/}
		against=$(sed -n "s#^| \`$name\` | \`$pkg\` | \(.*\) |\$#\1#p" docs/testing.md)
		findings=$(grep -c 'Failing input written to' "$log" || true)
		cpu=$(awk '{ printf "%d s", $1 + $2 }' "${log%.log}.cpu" 2>/dev/null || echo –)
		awk -v row="| \`$name\` | \`$pkg\` | ${against:-?} |" -v cpu="$cpu" -v findings="$findings" '
			/^fuzz: elapsed: / { elapsed = $3; execs = $5; if (/new interesting/) { fresh = $9; total = $11 } }
			END { sub(/,$/, "", elapsed); sub(/\)$/, "", total)
				print row, elapsed, "|", cpu, "|", execs + 0, "|", fresh + 0, "|", total + 0, "|", findings, "|" }' "$log"
	done
}

jobs=${JOBS:-$(nproc)}
case ${1:-} in
long)
	fuzztime=${2:-1h}
	long
	out=bench/results/$(date -u +%F)-fuzz.md
	table bin/fuzz >"$out"
	cat "$out"
	failed=$(grep -L '^PASS$' bin/fuzz/*.log || true)
	[ -z "$failed" ] || { echo "fuzz: did not pass: $failed" >&2; exit 1; }
	;;
table)
	fuzztime='?'
	table "${2:?a directory of logs}"
	;;
*)
	fuzztime=${1:-30s} count=0
	while read -r pkg name; do
		echo "fuzz $pkg $name for $fuzztime"
		fuzz "$pkg" "$name"
		count=$((count + 1))
	done < <(targets)
	[ "$count" -gt 0 ] || { echo "fuzz: no target found, which cannot be right" >&2; exit 1; }
	echo "fuzz: $count targets, no finding"
	;;
esac
