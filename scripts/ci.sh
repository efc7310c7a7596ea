#!/usr/bin/env bash
# The stages of `make ci`, each with its duration. Stops at the first that fails.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

stage() {
	local began=$SECONDS
	echo "==> $*"
	"$@"
	echo "<== $* ($((SECONDS - began)) s)"
}

# Some end-to-end tests skip when a client is missing. Here they must fail.
export CI=true

stage make --no-print-directory lint
stage make --no-print-directory race
stage make --no-print-directory test
echo "ci: all stages passed in $SECONDS s"
