#!/usr/bin/env bash
# Breaks one promise after another on purpose, with the patches of
# bench/fault/mutants, and insists that the fault harness notices each. Every patch
# is applied in a scratch worktree of HEAD, which is removed at the end. A name, or
# several, choose among them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
dir=$PWD/bench/fault/mutants
scratch=$(mktemp -d)
trap 'git worktree remove --force "$scratch/tree" 2>/dev/null || true; rm -rf "$scratch"' EXIT
git worktree add --quiet --detach "$scratch/tree" HEAD
go build -o "$scratch/edgefault" ./cmd/edgefault

names=("$@")
[ ${#names[@]} -gt 0 ] || mapfile -t names < <(cd "$dir" && printf '%s\n' *.patch | sed 's/\.patch$//')
survived=0
for name in "${names[@]}"; do
	patch=$dir/$name.patch
	read -ra scenario <<<"$(sed -n 's/^scenario: //p' "$patch")"
	git -C "$scratch/tree" checkout --quiet --force HEAD
	git -C "$scratch/tree" apply -C1 "$patch"
	(cd "$scratch/tree" && go build -o "$scratch/edgeloop" ./cmd/edgeloop)
	code=0
	"$scratch/edgefault" run "${scenario[@]}" --binary="$scratch/edgeloop" --work="$scratch/work" >"$scratch/out" 2>&1 || code=$?
	rm -rf "$scratch/work"
	if [ "$code" = 1 ]; then
		echo "noticed  $name: $(grep -m1 BROKEN <(grep -v 'seed=' "$scratch/out") | sed 's/^ *//' | cut -c1-140)"
	else
		echo "SURVIVED $name, exit code $code"
		sed 's/^/    /' "$scratch/out"
		survived=$((survived + 1))
	fi
done
echo "${#names[@]} mutants, $survived survived"
[ "$survived" = 0 ]
