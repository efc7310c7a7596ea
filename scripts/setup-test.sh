#!/usr/bin/env bash
# Installs what the tests need beyond Go on a fresh Debian, and only what is
# missing: a C compiler (race detector), curl, Python's websockets, Node with
# the ws package, Chromium. Without root and without sudo it changes nothing
# and says what is missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Debian's module belongs to Debian's interpreter, and another python3 may come
# first on PATH.
python=/usr/bin/python3

missing=()
command -v gcc >/dev/null || missing+=(gcc libc6-dev)
command -v curl >/dev/null || missing+=(curl)
command -v chromium >/dev/null || missing+=(chromium)
command -v node >/dev/null || missing+=(nodejs)
command -v npm >/dev/null || missing+=(npm)
{ [ -x "$python" ] && "$python" -c 'import websockets' 2>/dev/null; } || missing+=(python3 python3-websockets)

if [ ${#missing[@]} -gt 0 ]; then
	as_root=()
	if [ "$(id -u)" -ne 0 ]; then
		if ! command -v sudo >/dev/null || ! sudo -n true 2>/dev/null; then
			echo "setup-test: missing: ${missing[*]}" >&2
			echo "setup-test: as root run: apt-get install --no-install-recommends ${missing[*]}" >&2
			exit 1
		fi
		as_root=(sudo -n)
	fi
	echo "setup-test: installing ${missing[*]}"
	"${as_root[@]}" apt-get update -qq
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

# npm leaves .package-lock.json as its last step, so a newer copy of it than of
# our lock file means a finished install.
node_dir=test/e2e/node
if ! [ "$node_dir/node_modules/.package-lock.json" -nt "$node_dir/package-lock.json" ]; then
	echo "setup-test: installing the Node client in $node_dir"
	npm ci --prefix "$node_dir" --ignore-scripts --no-audit --no-fund --loglevel=error
fi
