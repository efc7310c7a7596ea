#!/usr/bin/env bash
# Runs every fuzz target of the module, one after another, each for $1 (30s).
# A finding is written by go test to the package's testdata/fuzz; commit it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
fuzztime=${1:-30s}

targets=0
for pkg in $(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.Dir}}{{end}}' ./...); do
	grep -qsE '^func Fuzz[A-Z_]' "$pkg"/*_test.go || continue
	names=$(grep -hoE '^func Fuzz[A-Za-z0-9_]+' "$pkg"/*_test.go | sed 's/^func //' | sort)
	for name in $names; do
		echo "fuzz ${pkg#"$PWD"/} $name for $fuzztime"
		go test -run='^$' -fuzz="^$name\$" -fuzztime="$fuzztime" "./${pkg#"$PWD"/}"
		targets=$((targets + 1))
	done
done
echo "fuzz: $targets targets, no finding"
[ "$targets" -gt 0 ] || { echo "fuzz: no target found, which cannot be right" >&2; exit 1; }
