#!/usr/bin/env bash
# make package-test: installs the Debian package in a Debian that it makes, boots that
# with its own systemd in a container (systemd-nspawn, no network but its own loopback),
# uses, breaks, upgrades, removes and purges it. Needs root; some minutes the first time.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/apt.sh

missing=()
command -v debootstrap >/dev/null || missing+=(debootstrap)
command -v systemd-nspawn >/dev/null || missing+=(systemd-container)
[ ${#missing[@]} -eq 0 ] || apt_install "${missing[@]}"

base=.cache/debian
if ! [ -e $base/made ]; then
	rm -rf $base
	mkdir -p $base
	mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | head -n 1)
	debootstrap --variant=minbase \
		--include=systemd,systemd-sysv,init-system-helpers,procps,man-db,python3,python3-websockets \
		bookworm $base "$mirror" >.cache/debootstrap.log || { tail .cache/debootstrap.log; exit 1; }
	touch $base/made
fi

arch=$(go env GOARCH)
pack() { VERSION=$1 bash scripts/release.sh >/dev/null && cp dist/*_"$arch".deb "$2"; }
work=$(mktemp -d .cache/package-test.XXXX)
trap 'rm -rf "$work"' EXIT
cp -a $base "$work/root"
test=$work/root/root/test
mkdir -p "$test"
cp packaging/test/inside.sh "$test/"
ARCHS=$arch pack 1.0.0 "$test/old.deb"
ARCHS=$arch pack 99.0.0 "$test/new.deb"
cp packaging/test/check.service "$work/root/etc/systemd/system/"
ln -s ../check.service "$work/root/etc/systemd/system/multi-user.target.wants/check.service"

timeout 600 systemd-nspawn -D "$work/root" --boot --register=no --keep-unit --private-network --quiet \
	</dev/null >"$work/boot.log" 2>&1 || { tail "$work/boot.log"; cat "$test/out.txt"; exit 1; }
if [ "$(grep -cx passed "$test/out.txt")" != 1 ]; then
	cat "$test/out.txt"
	exit 1
fi
echo "package-test: passed: $(basename dist/*_"$arch".deb) installed, used, broken, upgraded, removed and purged under $(systemd-nspawn --version | head -n 1)"
