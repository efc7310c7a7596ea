#!/usr/bin/env bash
# Runs the doctor's tests of limits that were really lowered in a throwaway guest,
# whose control groups are of version 2; a container often shows those of version 1.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
CGO_ENABLED=0 go test -c -o "$work/doctor.test" ./doctor
cat >"$work/script" <<'SCRIPT'
set -e
mount -t cgroup2 none /sys/fs/cgroup
echo "+memory +pids" >/sys/fs/cgroup/cgroup.subtree_control
CI=true doctor.test -test.v -test.run 'TestMachine_'
SCRIPT
scripts/guest/guest.sh -m 1G -t 300 "$work/script" "$work/doctor.test"
