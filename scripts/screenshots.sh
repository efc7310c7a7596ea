#!/usr/bin/env bash
# make screenshots: the dashboard of a node with 0, 5 and 3,000 devices and three sinks, one
# of which finds nobody, at 1400, 800 and 360 px, light and dark; with a wrong token; and
# after the node has stopped. In screenshots/, for people to look at.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

out=${OUT:-screenshots}
work=$(mktemp -d)
port=${PORT:-18090}
mkdir -p bin "$out"
go build -o bin/edgeloop ./cmd/edgeloop
go build -o bin/edgebench ./cmd/edgebench
go build -o bin/screenshots ./test/screenshots

node= devices=
# end stops one process of ours and waits for it.
end() {
	[ -z "$1" ] || kill "$1" 2>/dev/null || true
	[ -z "$1" ] || wait "$1" 2>/dev/null || true
}
cleanup() {
	end "$devices"
	end "$node"
	rm -rf "$work"
}
trap cleanup EXIT

cat >"$work/edgeloop.yaml" <<YAML
sinks:
  - {name: archive, type: file, dir: $work/archive, min_free: 0}
  - {name: lake, type: webhook, url: "http://127.0.0.1:9/in", retry: {most: 2s}}
  - {name: warehouse-of-the-second-hall, type: file, dir: $work/hall, min_free: 0, filter: {types: [alert]}}
YAML

url=http://127.0.0.1:$((port + 1))
boot() {
	bin/edgeloop serve --auth=none --listen "127.0.0.1:$port" --admin-listen "127.0.0.1:$((port + 1))" --data-dir "$work/data" \
		--drain-window=1s --node=edge-1 "$@" >"$work/node.log" 2>&1 &
	node=$!
	bin/edgebench ready --data-dir "$work/data" >/dev/null
}
# load connects so many devices, which send until it is ended.
load() {
	bin/edgebench telemetry --no-token --data-dir "$work/data" --url "ws://127.0.0.1:$port/v1/device" -c "$1" --prefix pump- \
		--rate "$2" --warmup 1s --duration 10m --out "$work/load.json" >"$work/load.log" 2>&1 &
	devices=$!
}
shoot() {
	bin/screenshots --url "$url/" --token-file "$work/data/admin.token" --out "$out" "$@"
}
# seen is the condition that so many devices are online, and there is something of the curves.
seen() {
	echo "document.getElementById('devices-online').textContent === '$1' && document.querySelector('#spark-received polyline').points.length > 6"
}

boot
shoot --name 0-devices --until "$(seen 0)"
end "$node"
boot --config "$work/edgeloop.yaml"
load 5 5
shoot --name 5-devices --until "$(seen 5)" --device pump-0000003
end "$devices"
load 3000 300
shoot --name 3000-devices --until "$(seen 3,000)"
end "$devices"
devices=
shoot --name wrong-token --wrong-token --until "document.body.dataset.view === 'token' && document.getElementById('login').open"
shoot --name stopped --until "$(seen 0)" --stop "$node"
ls -l "$out"
