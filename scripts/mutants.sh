#!/usr/bin/env bash
# Breaks one promise after another on purpose, with the patches of
# bench/fault/mutants, and insists that each is noticed: by the fault harness, as the
# patch's line "scenario:" says, or, where it says "test:" with arguments of go test,
# by a test. Every patch is applied in a scratch worktree of HEAD, which is removed at
# the end. A name, or several, choose among them; all of them leave
# bench/results/DATE-mutants.md.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
dir=$PWD/bench/fault/mutants
scratch=$(mktemp -d)
trap 'git worktree remove --force "$scratch/tree" 2>/dev/null || true; rm -rf "$scratch"' EXIT
git worktree add --quiet --detach "$scratch/tree" HEAD
go build -o "$scratch/edgefault" ./cmd/edgefault

names=("$@")
[ ${#names[@]} -gt 0 ] || mapfile -t names < <(cd "$dir" && printf '%s\n' *.patch | sed 's/\.patch$//')
survived=0 rows=$scratch/rows day=$(date -u +%F) commit=$(git -C "$scratch/tree" rev-parse --short=12 HEAD)
for name in "${names[@]}"; do
	patch=$dir/$name.patch
	read -ra scenario <<<"$(sed -n 's/^scenario: //p' "$patch")"
	read -ra tests <<<"$(sed -n 's/^test: //p' "$patch")"
	git -C "$scratch/tree" checkout --quiet --force HEAD
	git -C "$scratch/tree" apply -C1 "$patch"
	code=0
	if [ ${#tests[@]} -gt 0 ]; then
		run="go test ${tests[*]}" mark='^ *--- FAIL\|^panic:'
		(cd "$scratch/tree" && go vet "${tests[0]}" && go test -count=1 "${tests[@]}") >"$scratch/out" 2>&1 || code=$?
		grep -q "$mark" "$scratch/out" || code="$code, and no test failed"
	else
		run=${scenario[*]} mark=BROKEN
		(cd "$scratch/tree" && go build -o "$scratch/edgeloop" ./cmd/edgeloop)
		"$scratch/edgefault" run "${scenario[@]}" --binary="$scratch/edgeloop" --work="$scratch/work" >"$scratch/out" 2>&1 || code=$?
		rm -rf "$scratch/work"
	fi
	if [ "$code" = 1 ]; then
		seen=$(grep -m1 "$mark" <(grep -v 'seed=' "$scratch/out") | sed 's/^ *BROKEN //; s/^ *--- //' | cut -c1-140) || seen="exit code 1"
		echo "noticed  $name: $seen"
		echo "| $name | $(head -1 "$patch") | \`$run\` | ${seen//|/\\|} |" >>"$rows"
	else
		echo "| $name | $(head -1 "$patch") | \`$run\` | **survived**, exit code $code |" >>"$rows"
		echo "SURVIVED $name, exit code $code"
		sed 's/^/    /' "$scratch/out"
		survived=$((survived + 1))
	fi
done
if [ $# = 0 ]; then
	{
		echo "# Promises broken on purpose, $day"
		echo
		echo "Each patch of [bench/fault/mutants](../fault/mutants) breaks the node in one place; the fault harness, or a test, has to notice."
		echo
		echo "| patch | what it breaks | run | first thing noticed |"
		echo "|---|---|---|---|"
		cat "$rows"
		echo
		echo "${#names[@]} mutants, $survived survived. Command: \`make mutants\`. Commit: $commit."
	} >"bench/results/$day-mutants.md"
fi
echo "${#names[@]} mutants, $survived survived"
[ "$survived" = 0 ]
