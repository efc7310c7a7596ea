#!/bin/sh
# A PostgreSQL and a node whose records go into it, without containers, until Ctrl-C:
#
#   DB_PASSWORD=… examples/postgres/run.sh                  with flags of edgeloop serve, if any
#   psql -h 127.0.0.1 -U edge -c 'TABLE telemetry' telemetry    what has arrived, with the same password
#
# PORT is PostgreSQL's (5432), which does not run as root. What both have lies in DATA
# (./edgeloop-postgres), and what shows a Grafana there the board "Devices":
#
#   GF_PATHS_PROVISIONING=$PWD/edgeloop-postgres/grafana DB_PASSWORD=… grafana server --homepath /usr/share/grafana
set -eu
port=${PORT:-5432} data=${DATA:-$PWD/edgeloop-postgres} here=$(cd "$(dirname "$0")" && pwd)
export DB_PASSWORD="${DB_PASSWORD:?give one}"
export PGPASSWORD="$DB_PASSWORD" PGHOST=127.0.0.1 PGPORT="$port" PGUSER=edge
for bin in /usr/lib/postgresql/*/bin; do PATH=$bin:$PATH; done # where Debian has its programs, the newest
mkdir -p "$data/grafana/datasources" "$data/grafana/dashboards"
sed "s/@db:5432/@127.0.0.1:$port/" "$here/edgeloop.yaml" >"$data/edgeloop.yaml"
sed "s/db:5432/127.0.0.1:$port/" "$here/grafana.yaml" >"$data/grafana/datasources/edgeloop.yaml"
sed "s|/var/lib/grafana/dashboards|$here|" "$here/boards.yaml" >"$data/grafana/dashboards/edgeloop.yaml"
if [ ! -e "$data/db" ]; then
	printf '%s\n' "$DB_PASSWORD" | initdb -D "$data/db" -U "$PGUSER" --pwfile=/dev/stdin --auth=scram-sha-256 -E UTF8
fi
trap 'pg_ctl -D "$data/db" -m fast stop || :' EXIT
trap : INT # the node has it too, and ends in good order
pg_ctl -D "$data/db" -l "$data/db.log" -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories=" -w start
[ -n "$(psql -d postgres -Atc "SELECT 1 FROM pg_database WHERE datname = 'telemetry'")" ] || createdb telemetry
edgeloop serve --config "$data/edgeloop.yaml" --data-dir "$data/node" "$@"
