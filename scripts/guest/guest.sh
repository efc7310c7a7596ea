#!/usr/bin/env bash
# Boots a throwaway Linux guest (Debian's own kernel package, qemu in software
# emulation, no network but its own loopback), runs a script in it with static
# programs on PATH, prints what it prints and exits with its exit code.
#
#   guest.sh [-m MEMORY] [-t SECONDS] [-d DISK] SCRIPT PROGRAM...
#
#   -m  memory of the guest, as qemu spells it (4G)
#   -t  the guest is killed after this time (600)
#   -d  a file made by the caller is /dev/nvme0n1 in the guest: `tar c FILES >
#       /dev/nvme0n1` there, `tar xf DISK` here, moves megabytes at once
#
# Exit codes of its own: 124 timed out, 125 the guest died without reporting,
# 126 it could not be started. Needs a Debian with apt; installs qemu-system-x86,
# busybox-static, iproute2 and cpio where they are missing, which is all that needs
# root or sudo. The kernel is unpacked below $GUEST_CACHE (~/.cache/edgeloop-guest),
# never installed.
set -eEuo pipefail

# Until qemu runs, any step that fails means that there is no guest.
doing="read its arguments"
not_started() {
  [ "$BASH_SUBSHELL" -gt 0 ] || echo "guest.sh: no guest was started: could not $doing" >&2
  exit 126
}
trap not_started ERR

memory=4G limit=600 disk=
while getopts m:t:d: option; do
  case $option in
    m) memory=$OPTARG ;;
    t) limit=$OPTARG ;;
    d) disk=$OPTARG ;;
    *) exit 126 ;;
  esac
done
shift $((OPTIND - 1))
[ $# -ge 1 ] || { echo "guest.sh: no script" >&2; exit 126; }
script=$1
shift
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${GUEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/edgeloop-guest}

. "$here/../apt.sh"

install_packages() {
  local missing=()
  for p in qemu-system-x86 busybox-static iproute2 cpio; do
    [ "$(dpkg-query -W -f='${Status}' "$p" 2>/dev/null)" = 'install ok installed' ] || missing+=("$p")
  done
  [ ${#missing[@]} -eq 0 ] || apt_install "${missing[@]}"
}

# Unpacked, not installed: no hooks, nothing in /boot. Security updates rename
# the package, so its name is asked for each time.
fetch_kernel() {
  [ ! -s "$cache/vmlinuz" ] || return 0
  if as_root true 2>/dev/null; then
    as_root apt-get update -qq
  fi
  mkdir -p "$cache"
  local package
  package=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image/ && !n++ {print $2}')
  rm -rf "$cache/boot" "$cache/$package"_*.deb
  env -C "$cache" apt-get download -qq -o APT::Sandbox::User=root "$package"
  dpkg-deb --fsys-tarfile "$cache/$package"_*.deb | tar x -C "$cache" --wildcards './boot/vmlinuz-*'
  mv "$cache"/boot/vmlinuz-* "$cache/vmlinuz"
  rm -rf "$cache/boot" "$cache/$package"_*.deb
}

# On lines of their own: in a list with || errexit would be off in them.
doing="install packages"
install_packages
doing="fetch a kernel"
fetch_kernel

doing="put its files together"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
mkdir -p "$root"/{bin,dev,proc,sys,tmp}
cp /bin/busybox "$@" "$root/bin/"
cp "$script" "$root/script"
# Debian's ip with its libraries, for the route metrics that busybox's does not know.
mkdir -p "$root/iproute2"
cp "$(command -v ip)" "$root/iproute2/"
while read -r library; do
  cp --parents "$library" "$root"
done < <(ldd "$(command -v ip)" | grep -o '/[^ ]*')
install -m755 "$here/init" "$root/init"
# No mknod, which would need root: /dev/console is in the kernel's own initramfs.
(cd "$root" && find . | cpio -o -H newc -R 0:0 --quiet) >"$work/initrd"

drive=()
if [ -n "$disk" ]; then
  drive=(-drive "file=$disk,format=raw,if=none,id=d,cache=unsafe" -device nvme,drive=d,serial=1)
fi

# thash_entries: the default table of established sockets has long chains at
# 100,000. highres=off: reprogramming timers is dear in emulation; timers are
# 4 ms coarse for it, so no latency below that means anything here.
# no_timer_check: on a busy host the guest may not run while the kernel waits for
# its first ticks, which it would take for a broken timer and panic. nowatchdog:
# for the same reason nothing that stands still is locked up.
options="console=ttyS0 quiet panic=-1 oops=panic mitigations=off nokaslr lsm= audit=0 init_on_alloc=0
  nosmap nosmep clocksource=tsc tsc=reliable highres=off thash_entries=2097152 no_timer_check nowatchdog"

trap - ERR
doing="run qemu"
status=0
timeout -k 5 "$limit" qemu-system-x86_64 \
  -nodefaults -no-user-config -display none -nic none -no-reboot \
  -machine q35 -accel tcg,thread=multi -cpu max -smp "$(nproc)" -m "$memory" \
  -kernel "$cache/vmlinuz" -initrd "$work/initrd" -append "${options//$'\n'/ }" \
  -serial "file:$work/console" -chardev stdio,id=out,signal=off -serial chardev:out \
  -serial "file:$work/status" "${drive[@]}" </dev/null || status=$?

[ -e "$work/console" ] || not_started
reported=$(tr -dc 0-9 <"$work/status" 2>/dev/null || true)
if [ -n "$reported" ] && [ "$status" = 0 ]; then
  exit "$reported"
fi
echo "guest.sh: qemu ended with $status and the guest reported nothing; its console:" >&2
tail -20 "$work/console" >&2
if [ "$status" = 124 ] || [ "$status" = 137 ]; then
  exit 124
fi
exit 125
