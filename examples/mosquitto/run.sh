#!/bin/sh
# A Mosquitto and a node whose records it gets, without containers, until Ctrl-C:
#
#   examples/mosquitto/run.sh                                      with flags of edgeloop serve, if any
#   mosquitto_sub -t 'edgeloop/#' -v                               what arrives
#   mosquitto_pub -q 1 -t cmd/default/pump-1/open -m '{"by":30}'   a command for a device
#
# PORT is Mosquitto's (1883). What the node has lies in DATA (./edgeloop-mosquitto).
set -eu
port=${PORT:-1883} data=${DATA:-$PWD/edgeloop-mosquitto}
mkdir -p "$data"
sed "s/mosquitto:1883/127.0.0.1:$port/" "$(dirname "$0")/edgeloop.yaml" >"$data/edgeloop.yaml"
mosquitto -p "$port" & # without a configuration it takes connections of this machine alone
server=$!
trap 'kill $server 2>/dev/null || :' EXIT
trap : INT # the node has it too, and ends in good order
edgeloop serve --config "$data/edgeloop.yaml" --data-dir "$data/node" "$@"
