#!/usr/bin/env bash
# way.sh [-n IN_FLIGHT] [REVISION]: the files and functions of ours on the way of a message,
# from socket to acknowledgement, in this tree or as it was at REVISION.
#
# A node that counts how often each statement runs is given 1,000 messages of one device,
# one at a time, and then none for as long. What ran at least half as many times more often
# is on the way; set up, ticks and the connecting itself are not. With -n so many are in
# flight at a time, as fast as they go: then only what is done for each message is on it, and what is
# done once for a batch is not. Takes half a minute.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

load=(--rate=200) # 1,000 in 5 s
if [ "${1-}" = -n ]; then
  load=(--in-flight="$2")
  shift 2
fi
work=$(mktemp -d)
tree=$PWD
node=
cleanup() {
  [ -z "$node" ] || kill "$node" 2>/dev/null || true
  [ "$tree" = "$PWD" ] || git worktree remove --force "$tree"
  rm -rf "$work"
}
trap cleanup EXIT

if [ $# -gt 0 ]; then
  git worktree add --quiet --detach "$work/tree" "$1"
  tree=$work/tree
fi
go build -o "$work/edgebench" ./cmd/edgebench
(cd "$tree" && go build -cover -covermode=atomic -coverpkg=./... -o "$work/edgeloop" ./cmd/edgeloop)

# counted NAME SCENARIO...: a node's life with what edgebench does to it, counted.
counted() {
  local name=$1 tries
  shift
  mkdir -p "$work/$name.cover"
  GOCOVERDIR=$work/$name.cover "$work/edgeloop" serve --auth=none --listen=127.0.0.1:0 --admin-listen=127.0.0.1:0 \
    --data-dir="$work/$name" --log-level=error &
  node=$!
  for tries in $(seq 300); do
    [ ! -s "$work/$name/node.json" ] || break
    sleep 0.1
  done
  "$work/edgebench" "$@" --data-dir="$work/$name" --no-token --dialect=json --connections=1 --json >"$work/$name.json"
  kill -TERM "$node"
  wait "$node"
  node=
  (cd "$tree" && go tool covdata textfmt -i="$work/$name.cover" -o "$work/$name.txt")
}
counted some telemetry "${load[@]}" --duration=5s --warmup=0s
counted none idle --hold=5s --settle=1s

messages=$(grep -o '"acked": [0-9]*' "$work/some.json" | cut -d' ' -f2 | sort -n | tail -1)
# Blocks that ran more often with messages, as a profile of their own: the tool knows
# which function a block belongs to.
awk -v half="$((messages / 2))" 'FNR == 1 { mode = $0; if (NR != 1) print "mode: set"; next }
  NR == FNR { without[$1] += $3; next }
  { with[$1] += $3; statements[$1] = $2 }
  END { for (b in with) print b, statements[b], (with[b] - without[b] >= half) }' \
  "$work/none.txt" "$work/some.txt" >"$work/way.txt"
(cd "$tree" && go tool cover -func="$work/way.txt") |
  awk '$NF != "0.0%" && $1 != "total:" { sub(/:[0-9]+:$/, "", $1); sub(/^edgeloop\//, "", $1); print $1, $2 }' |
  sort >"$work/functions"

awk '{ if ($1 != last) { printf "%s%s:", sep, $1; last = $1; sep = "\n" } printf " %s", $2 } END { print "" }' "$work/functions"
echo
echo "$messages messages: $(cut -d' ' -f1 "$work/functions" | uniq | wc -l) files, $(wc -l <"$work/functions") functions"
