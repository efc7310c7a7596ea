#!/bin/sh
# One node, N devices, on whatever machine this runs: inside the guest (busybox)
# or natively. Starts `edgeloop serve`, runs `edgebench capacity` against it,
# leaves result.json and server.log in OUT. Exit code: 0, or what went wrong.
#
#   N=100000 OUT=/out LOOPS=2 STEP=740 TOTAL=4000 sh capacity.sh
#
# With MQTT=1 they speak MQTT 3.1.1. With TLS_DIR, where cert.pem and key.pem are, devices
# come by TLS 1.3, with tickets once they have one. edgeloop and edgebench are on PATH. STEP is the time in seconds that any one
# step may take, TOTAL that of all of them: a run that is cut short by them still
# leaves a result that says how far it came.
set -u
: "${N:=100000}" "${OUT:=.}" "${LOOPS:=2}" "${STEP:=740}" "${TOTAL:=4000}" "${EDGEBENCH_FLAGS:=}" "${TLS_DIR:=}" "${MQTT:=}"
data=$OUT/node
export TERM=dumb # a serial line is a terminal, but nobody watches it live
mkdir -p "$data"

# The default of ten seconds sends 10,000 devices a second away when there are
# 100,000. A guest that emulates node and devices on the same two cores does a
# fifth of that.
window=$((N / 2000))
[ "$window" -ge 10 ] || window=10

# A guest answers some 3,300 pings a second, as many as 100,000 devices get with the
# default of 30 s. Beyond that they are pinged less often, and so they are by TLS: there
# node and fleet seal and open a record each for a ping and its answer, and with 65,000
# devices that left a third of the processor for handshakes.
each=3333
[ -z "$TLS_DIR" ] || each=1000
beat=$((N / each))
[ "$beat" -ge 30 ] || beat=30

# The handshake timeout is the fleet's: where node and devices share emulated cores, a handshake
# of TLS waits for both. With the default of 10 s, one that is slow for a moment has
# others time out that were nearly over, and that work keeps it slow.
# shellcheck disable=SC2086 # flags are meant to be split
edgeloop serve --handshake-timeout 60s ${TLS_DIR:+--tls-listen 127.0.0.1:0 --tls-cert $TLS_DIR/cert.pem --tls-key $TLS_DIR/key.pem --tls-records own} \
  ${MQTT:+--mqtt-listen 127.0.0.1:0} \
  --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 --data-dir "$data" \
  --drain-window "${window}s" --heartbeat "${beat}s" --idle-timeout "$((2 * beat))s" --max-connections "$((N + 1000))" --log-level warn >"$OUT/server.log" 2>&1 &
server=$!

if ! edgebench ready --data-dir "$data" --wait "${STEP}s"; then
  echo "capacity.sh: the node did not start:"
  tail -n 5 "$OUT/server.log"
  kill -9 "$server" 2>/dev/null
  exit 1
fi

# Telemetry is one message of each device: in half a minute, or longer where that
# would be more than 2,000 a second. Answers are late only after a whole minute,
# because a guest may not run for seconds.
seconds=$((N / 2000))
[ "$seconds" -ge 30 ] || seconds=30
# shellcheck disable=SC2086 # flags are meant to be split
timeout "$TOTAL" edgebench capacity --connections "$N" --loops "$LOOPS" --data-dir "$data" \
  --connect-timeout "${STEP}s" --limit "${STEP}s" --handshake-timeout 60s --message-timeout 60s \
  ${TLS_DIR:+--tls-ca $TLS_DIR/cert.pem --tls-version 1.3 --tls-resume} ${MQTT:+--dialect mqtt} \
  --duration "${seconds}s" --hold "$((beat + 10))s" --out "$OUT/result.json" $EDGEBENCH_FLAGS
code=$?

# The node was stopped by the last step; where the run did not come so far it is
# now, and killed if it does not go.
kill "$server" 2>/dev/null
waited=0
while kill -0 "$server" 2>/dev/null && [ "$waited" -lt 60 ]; do
  sleep 1
  waited=$((waited + 1))
done
kill -9 "$server" 2>/dev/null
wait "$server"
exited=$?
if [ "$exited" != 0 ]; then
  echo "capacity.sh: edgeloop serve exited with $exited:"
  tail -n 5 "$OUT/server.log"
  [ "$code" != 0 ] || code=1
fi
exit "$code"
