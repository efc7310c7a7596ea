#!/usr/bin/env bash
# make monitoring-test: the alerts are valid, and fire when they should and not before.
# promtool is taken out of Debian's package of Prometheus, which is not installed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

promtool=$(command -v promtool || true)
if [ -z "$promtool" ]; then
	tools=$PWD/.cache/prometheus
	promtool=$tools/usr/bin/promtool
	if ! [ -x "$promtool" ]; then
		mkdir -p "$tools"
		(cd "$tools" && apt-get download -qq prometheus && dpkg -x prometheus_*.deb . && rm prometheus_*.deb)
	fi
fi
cd packaging/monitoring
"$promtool" check rules alerts.yaml
"$promtool" test rules alerts_test.yaml
