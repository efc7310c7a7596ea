#!/usr/bin/env bash
# make run: a node and one real device, this machine. Ctrl-C stops both.
#
# DATA_DIR, LISTEN and ADMIN change where; further flags of `edgeloop serve` may
# be given as arguments.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

data=${DATA_DIR:-data}
listen=${LISTEN:-127.0.0.1:8080}
admin=${ADMIN:-127.0.0.1:9090}
device=hostagent

make --no-print-directory build

node= agent=
cleanup() {
	trap '' INT TERM
	local code=0
	[ -z "$agent" ] || kill "$agent" 2>/dev/null || true
	[ -z "$agent" ] || wait "$agent" || true
	if [ -n "$node" ]; then
		kill "$node" 2>/dev/null || true
		wait "$node" || code=$?
	fi
	exit "$code"
}
trap cleanup INT TERM EXIT

# setsid keeps the terminal's Ctrl-C from both, so that they stop in order:
# first the device, then the node, by the signals above.
setsid bin/edgeloop serve --data-dir "$data" --listen "$listen" --admin-listen "$admin" --drain-window=1s "$@" &
node=$!
# ready asks /readyz without curl, which a fresh machine may not have.
ready() {
	exec 3<>"/dev/tcp/${admin%:*}/${admin##*:}" || return
	printf 'GET /readyz HTTP/1.0\r\nHost: %s\r\n\r\n' "$admin" >&3
	head -n 1 <&3 | grep -q ' 200 '
}
until (ready) 2>/dev/null; do
	kill -0 "$node" 2>/dev/null || exit 1
	sleep 0.1
done

export HOSTAGENT_URL=ws://$listen/v1/device
HOSTAGENT_TOKEN=$(bin/edgeloop token --data-dir "$data" --device "$device")
export HOSTAGENT_TOKEN
setsid bin/hostagent &
agent=$!

flags=
[ "$data" = data ] || flags+=" --data-dir $data"
[ "$admin" = 127.0.0.1:9090 ] || flags+=" --admin-url http://$admin"
cat <<TRY

  devices connect to    ws://$listen/v1/device
  operators look at     http://$admin/   (token in $data/admin.token)

  The device "$device" sends this machine's readings every second. Try:

    bin/edgeloop tail$flags --device $device
    bin/edgeloop devices$flags
    bin/edgeloop send$flags --device $device set-interval '{"s":0.5}'
    curl -H "Authorization: Bearer \$(cat $data/admin.token)" http://$admin/v1/devices
    curl -H "Authorization: Bearer \$(cat $data/admin.token)" -d '{"name":"ping"}' \\
      'http://$admin/v1/devices/default/$device/commands?wait=5s'

  Ctrl-C stops both.

TRY
wait "$node"
