#!/usr/bin/env bash
# bench-before.sh REVISION [FLAGS...]: builds edgeloop as it was at REVISION, in a
# work tree of its own that is removed again, and measures it beside today's.
# FLAGS go to bin/compare; the page is bench/results/DATE-before-after.md.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

rev=$(git rev-parse --short=7 --verify --quiet "${1:?which revision}^{commit}") ||
  { echo "bench-before: $1 is no commit of this repository" >&2; exit 2; }
shift
binary=$PWD/bin/before/edgeloop-$rev
tree=$(mktemp -d)
trap 'git worktree remove --force "$tree/at"; rmdir "$tree"' EXIT
git worktree add --quiet --detach "$tree/at" "$rev"
(cd "$tree/at" && go build -trimpath -o "$binary" ./cmd/edgeloop)

scripts/bench-build.sh
bin/compare -name before-after -older "bin/before/edgeloop-$rev" \
  -only raw-2,gnet,older-echo,edgeloop-echo,older-serve,edgeloop-serve \
  -measures idle,connect,echo-1,telemetry,telemetry-paced "$@"
