#!/bin/bash
# Runs as a service of a booted Debian that scripts/package-test.sh made, with the
# packages old.deb and new.deb beside it. Its last line is "passed", or what failed.
cd "$(dirname "$0")" || exit
exec >out.txt 2>&1
set -E
trap 'echo "failed: line $LINENO: $BASH_COMMAND"; journalctl -u edgeloop --no-pager | tail -30; systemctl poweroff --no-block 2>/dev/null; exit 1' ERR
set -x

unit() { systemctl show edgeloop -p "$1" --value; }
# becomes PROPERTY VALUE waits up to two minutes.
becomes() {
	for _ in $(seq 240); do
		[ "$(unit "$1")" != "$2" ] || return 0
		sleep 0.5
	done
	return 1
}
# say SEQ has the device d1 send a reading and wait for its ack.
say() {
	python3 - "$1" "$(edgeloop token --device d1)" <<'PY'
import asyncio, json, sys, websockets
async def main():
    async with websockets.connect("ws://127.0.0.1:8080/v1/device", subprotocols=["edgeloop.v1.json"],
            extra_headers={"Authorization": "Bearer " + sys.argv[2]}) as ws:
        seq = int(sys.argv[1])
        welcome = json.loads(await ws.recv())
        assert welcome["upto"] == seq - 1, welcome
        await ws.send(json.dumps({"type": "telemetry", "seq": seq, "data": seq}))
        while json.loads(await asyncio.wait_for(ws.recv(), 30)).get("upto") != seq:
            pass
asyncio.run(main())
PY
}

# A new user, in an empty directory: node, token, device, tail.
mkdir empty && cd empty
dpkg -i ../old.deb
edgeloop health
say 1
[ "$(edgeloop tail --since all --no-follow --device d1 | wc -l)" = 1 ]
[ -z "$(ls)" ] # nothing was made here: the tools found the service's directory

[ "$(unit ActiveState)" = active ]
[ "$(systemctl is-enabled edgeloop)" = enabled ]
[ "$(stat -c %a /var/lib/private/edgeloop)" = 700 ]
[ "$(stat -c %U "/proc/$(unit MainPID)")" != root ]
systemd-analyze verify edgeloop.service
test -s /usr/share/man/man1/edgeloop-serve.1.gz
test -s /usr/share/doc/edgeloop/THIRD_PARTY_LICENSES

# A reload is told; a wrong file changes nothing, a wrong start stays down.
systemctl reload edgeloop
say 2
echo 'windw: 7' >>/etc/edgeloop/edgeloop.yaml
systemctl reload edgeloop
becomes ActiveState active
! systemctl restart edgeloop
[ "$(unit ExecMainStatus)" = 2 ]
[ "$(unit NRestarts)" = 0 ]
sed -i 's/windw: 7/window: 8/' /etc/edgeloop/edgeloop.yaml
systemctl restart edgeloop
edgeloop health

# An upgrade keeps the data, the secrets and what the administrator changed.
dpkg -i ../new.deb
edgeloop version
edgeloop version | grep -q ' 99'
becomes ActiveState active
edgeloop health
grep -q 'window: 8' /etc/edgeloop/edgeloop.yaml
say 3
[ "$(edgeloop tail --since all --no-follow --device d1 | wc -l)" = 3 ]

# The node hangs, or dies: it is started again, and what was acknowledged is there.
before=$(unit MainPID)
kill -STOP "$before"
becomes NRestarts 1
becomes ActiveState active
say 4
kill -KILL "$(unit MainPID)"
becomes NRestarts 2
becomes ActiveState active
say 5
kill -ABRT "$(unit MainPID)" # as a panic ends it
becomes NRestarts 3
becomes ActiveState active
say 6

# An orderly stop.
systemctl stop edgeloop
[ "$(unit Result)" = success ]
[ "$(unit ExecMainStatus)" = 0 ]

# Removing keeps the data, purging does not.
dpkg -r edgeloop
test -d /var/lib/private/edgeloop/nats
test -f /etc/edgeloop/edgeloop.yaml
dpkg -i ../new.deb
say 7
dpkg -P edgeloop
for left in /var/lib/edgeloop /var/lib/private/edgeloop /etc/edgeloop /usr/share/doc/edgeloop /etc/systemd/system/*/edgeloop.service; do
	[ ! -e "$left" ]
done
set +x
echo passed
systemctl poweroff --no-block 2>/dev/null
