#!/bin/sh
# One node, N devices, on whatever machine this runs: inside the guest (busybox)
# or natively. Starts `edgeloop serve`, runs `edgebench capacity` against it,
# leaves result.json and server.log in OUT. Exit code: 0, or what went wrong.
#
#   N=100000 OUT=/out LOOPS=2 sh capacity.sh      (edgeloop, edgebench on PATH)
set -u
: "${N:=100000}" "${OUT:=.}" "${LOOPS:=2}" "${EDGEBENCH_FLAGS:=}"
data=$OUT/node
export TERM=dumb # a serial line is a terminal, but nobody watches it live
mkdir -p "$data"

edgeloop serve --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 --data-dir "$data" \
  --max-connections "$((N + 1000))" --log-level warn >"$OUT/server.log" 2>&1 &
server=$!

if ! edgebench ready --data-dir "$data" --wait 60s; then
  echo "capacity.sh: the node did not start:"
  tail -5 "$OUT/server.log"
  kill "$server" 2>/dev/null
  exit 1
fi

# shellcheck disable=SC2086 # flags are meant to be split
edgebench capacity --connections "$N" --loops "$LOOPS" --data-dir "$data" --connect-timeout 30m \
  --out "$OUT/result.json" $EDGEBENCH_FLAGS
code=$?
kill "$server" 2>/dev/null
wait "$server"
exited=$?
if [ "$exited" != 0 ]; then
  echo "capacity.sh: edgeloop serve exited with $exited:"
  tail -5 "$OUT/server.log"
  [ "$code" != 0 ] || code=1
fi
exit "$code"
