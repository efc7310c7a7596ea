#!/bin/sh
# A Redis and a node whose records it gets, without containers, until Ctrl-C:
#
#   examples/redis/run.sh                    with flags of edgeloop serve, if any
#   redis-cli XRANGE edgeloop:default - +    what has arrived
#
# PORT is Redis's (6379). What both have lies in DATA (./edgeloop-redis).
set -eu
port=${PORT:-6379} data=${DATA:-$PWD/edgeloop-redis}
mkdir -p "$data/redis"
sed "s/redis:6379/127.0.0.1:$port/" "$(dirname "$0")/edgeloop.yaml" >"$data/edgeloop.yaml"
# Synced before it answers: what it confirmed outlives a crash.
redis-server --bind 127.0.0.1 --port "$port" --dir "$data/redis" --appendonly yes --appendfsync always &
server=$!
trap 'kill $server 2>/dev/null || :' EXIT
trap : INT # the node has it too, and ends in good order
edgeloop serve --config "$data/edgeloop.yaml" --data-dir "$data/node" "$@"
