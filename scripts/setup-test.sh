#!/usr/bin/env bash
# Installs what the tests need beyond Go on a fresh Debian, and only what is
# missing: a C compiler (race detector), curl, openssl, mosquitto, HAProxy, nginx,
# Python's websockets, grpcio, paho-mqtt and PyJWT, protoc, Node with the ws, mqtt and sparkplug packages, Chromium, Redis, PostgreSQL, PgBouncer.
# Without root and without sudo it changes nothing and says what is missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/apt.sh

# Debian's module belongs to Debian's interpreter, and another python3 may come
# first on PATH.
python=/usr/bin/python3

missing=()
command -v gcc >/dev/null || missing+=(gcc libc6-dev)
command -v curl >/dev/null || missing+=(curl)
command -v openssl >/dev/null || missing+=(openssl)
PATH=$PATH:/usr/sbin command -v mosquitto >/dev/null || missing+=(mosquitto)
PATH=$PATH:/usr/sbin command -v haproxy >/dev/null || missing+=(haproxy)
PATH=$PATH:/usr/sbin command -v nginx >/dev/null || missing+=(nginx-light)
command -v chromium >/dev/null || missing+=(chromium)
command -v redis-server >/dev/null || missing+=(redis-server)
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=(postgresql)
PATH=$PATH:/usr/sbin command -v pgbouncer >/dev/null || missing+=(pgbouncer)
command -v node >/dev/null || missing+=(nodejs)
command -v mosquitto_pub >/dev/null || missing+=(mosquitto-clients)
command -v npm >/dev/null || missing+=(npm)
command -v protoc >/dev/null || missing+=(protobuf-compiler)
{ [ -x "$python" ] && "$python" -c 'import grpc, google.protobuf' 2>/dev/null; } || missing+=(python3-grpcio python3-protobuf)
{ [ -x "$python" ] && "$python" -c 'import paho.mqtt.client' 2>/dev/null; } || missing+=(python3-paho-mqtt)
{ [ -x "$python" ] && "$python" -c 'import jwt, cryptography' 2>/dev/null; } || missing+=(python3-jwt python3-cryptography)
{ [ -x "$python" ] && "$python" -c 'import websockets' 2>/dev/null; } || missing+=(python3 python3-websockets)

[ ${#missing[@]} -eq 0 ] || apt_install "${missing[@]}"

# npm leaves .package-lock.json as its last step, so a newer copy of it than of
# our lock file means a finished install.
node_dir=test/e2e/node
if ! [ "$node_dir/node_modules/.package-lock.json" -nt "$node_dir/package-lock.json" ]; then
	echo "setup-test: installing the Node client in $node_dir"
	npm ci --prefix "$node_dir" --ignore-scripts --no-audit --no-fund --loglevel=error
fi
