#!/usr/bin/env bash
# make release: what is given to others, in dist/: for amd64 and arm64 a static binary in
# a tar archive and a Debian package, the texts of the licences of what is inside, a list
# of it (CycloneDX), and checksums. VERSION is the last tag, or 0.0.0 and the commit;
# ARCHS names others. NFPM and CYCLONEDX are the tools; make brings them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/apt.sh

commit=$(git rev-parse --short=12 HEAD)
[ -z "$(git status --porcelain)" ] || commit+=-dirty
version=${VERSION:-$(git describe --tags --match 'v*' 2>/dev/null | sed 's/^v//' || true)}
: "${version:=0.0.0+git.$commit}"
# The same commit gives the same bytes.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH

command -v help2man >/dev/null || apt_install help2man
rm -rf dist
mkdir -p dist/man

# binary ARCH FILE [DATA_DIR] builds one.
binary() {
	CGO_ENABLED=0 GOOS=linux GOARCH=$1 go build -trimpath -buildvcs=false \
		-ldflags "-s -w -X main.release=$version -X main.commit=$commit ${3:+-X main.dataDir=$3}" \
		-o "$2" ./cmd/edgeloop
}

# page NAME COMMAND… makes a man page of the help of a command.
page() {
	local name=$1
	shift
	printf '#!/bin/sh\nexec "%s/dist/host/edgeloop" %s "$@"\n' "$PWD" "$*" >dist/man/$name
	chmod +x dist/man/$name
	help2man --no-info --section=1 --version-string="edgeloop $version" \
		--name="$(dist/host/edgeloop $* --help | sed -n '3p')" --output=dist/man/$name.1 dist/man/$name
	rm dist/man/$name
	gzip -9n dist/man/$name.1
}

host=$(go env GOARCH)
binary "$host" dist/host/edgeloop
page edgeloop ''
for command in serve token devices send kick tail log doctor health; do
	page edgeloop-$command $command
done

(cd packaging/licences && go run . -texts ../../dist/host/edgeloop) >dist/THIRD_PARTY_LICENSES

for arch in ${ARCHS:-amd64 arm64}; do
	name=edgeloop_${version}_linux_$arch
	mkdir -p dist/$name dist/deb
	binary $arch dist/$name/edgeloop
	cp -r LICENSE README.md CHANGELOG.md docs packaging dist/THIRD_PARTY_LICENSES dist/$name/
	tar --sort=name --mtime=@$SOURCE_DATE_EPOCH --owner=0 --group=0 --numeric-owner -C dist -cf - $name | gzip -9n >dist/$name.tar.gz
	"$CYCLONEDX" bin -json -licenses -noserial -output dist/$name.sbom.json dist/$name/edgeloop 2>/dev/null
	binary $arch dist/deb/edgeloop /var/lib/edgeloop
	VERSION=$version ARCH=$arch "$NFPM" package --config packaging/nfpm.yaml --packager deb --target dist/
	rm -r dist/$name dist/deb
done
rm -r dist/host dist/man dist/THIRD_PARTY_LICENSES
(cd dist && sha256sum -- * >SHA256SUMS)
ls -l dist
