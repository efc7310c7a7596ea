#!/usr/bin/env bash
# Holds N devices on one edgeloop process and prints what that took: natively
# where the descriptor limit allows it for every N, else in a throwaway guest
# (scripts/guest), so that the columns of one call can be compared. Each result
# goes to bench/results/DATE-capacity[-guest]-N.json, the table over all N of this
# call beside it, as Markdown and with all plots as one HTML page; with several N
# also the curves of memory and CPU over N as PNG.
#
#   bench-capacity.sh [-g] [-k] [-m | -s] N...
#
#   -g  in the guest even where the limits allow a native run
#   -k  keep the folder with the server's log and say where it is
#   -m  devices speak MQTT 3.1.1; results are called capacity-mqtt
#   -s  devices come by TLS 1.3; results are called capacity-tls
#
# Every step of a run has a limit that grows with N, and so has the run: with
# 100,000 devices no step may take more than 16 minutes. EDGEBENCH_FLAGS are
# passed on, as in EDGEBENCH_FLAGS='--hold=5m'.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

command="scripts/bench-capacity.sh $*"
guest=auto keep='' secure='' mqtt=''
while getopts gkms option; do
  case $option in
    g) guest=yes ;;
    k) keep=yes ;;
    m) mqtt=-mqtt ;;
    s) secure=-tls ;;
    *) exit 2 ;;
  esac
done
shift $((OPTIND - 1))
[ -z "$mqtt" ] || [ -z "$secure" ] || { echo "bench-capacity.sh: -m and -s do not go together: give one" >&2; exit 2; }
[ $# -ge 1 ] || set -- 100000

# On the disk of the checkout: /tmp may be memory, where a sync costs nothing.
mkdir -p data
out=$(mktemp -d "$PWD/data/capacity-XXXXXX")
if [ -n "$keep" ]; then
  echo "kept in $out" >&2
else
  trap 'rm -rf "$out"' EXIT
fi
mkdir -p bench/results "$out/bin"
CGO_ENABLED=0 go build -trimpath -o "$out/bin/" ./cmd/edgeloop ./cmd/edgebench
tls=()
if [ -n "$secure" ]; then
  . scripts/apt.sh
  command -v openssl >/dev/null || apt_install openssl
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 3 -subj /CN=node -addext subjectAltName=IP:127.0.0.1 \
    -keyout "$out/key.pem" -out "$out/cert.pem" 2>/dev/null
  tls=("$out/cert.pem" "$out/key.pem")
fi
commit=$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
date=$(date -u +%F)

# A node needs a descriptor for each device and some for itself; the fleet has
# descriptors of its own, in as many processes as it takes.
hard=$(ulimit -Hn)
for n in "$@"; do
  [ "$hard" = unlimited ] || [ "$hard" -ge "$((n + 2000))" ] || guest=yes
done

# Seconds for one step and for all of them: those of a guest on a busy host. A handshake of
# TLS takes an emulated core some 20 ms, on both sides.
each=200
[ -z "$secure" ] || each=40
step() { echo $((480 + $1 / $each)); }
total() { echo $((300 + 5 * $(step "$1"))); }

# Errexit is off in both runs, because the caller looks at their status.
run_native() {
  local script=$PWD/scripts/guest/capacity.sh
  mkdir -p "$out/$1" && (
    ulimit -n "$hard" && cd "$out/$1" &&
      MQTT=${mqtt:+1} TLS_DIR=${secure:+$out} PATH=$out/bin:$PATH N=$1 OUT=. LOOPS=$(nproc) STEP=$(step "$1") TOTAL=$(total "$1") sh "$script"
  )
}

# Memory: what the guest needs for itself, and for each device both ends of its socket
# (8.8 KB of slab each pair), what lies in their buffers after a broadcast (2.3 KB each),
# and the processes' share. 19 GiB are for a million. TLS has the fleet hold 15 KB of crypto/tls for each, and as much garbage.
kilobytes=28
[ -z "$secure" ] || kilobytes=76
run_guest() {
  local n=$1 megabytes=$((1536 + $1 * kilobytes / 1024)) seconds=$(($(total "$1") + 300))
  [ "$megabytes" -le 19456 ] || megabytes=19456
  mkdir -p "$out/$n" && truncate -s 64M "$out/$n/disk" || return
  cat >"$out/$n/script" <<SCRIPT || return
mkdir -p /out
mount -t tmpfs -o size=$((256 + n * 2 / 1024))M tmpfs /out
export TLS_DIR=${secure:+/bin} MQTT=${mqtt:+1}
export N=$n OUT=/out LOOPS=\$(nproc) STEP=$(step "$n") TOTAL=$(total "$n") EDGEBENCH_FLAGS="${EDGEBENCH_FLAGS:-}"
export GOTRACEBACK=all
sh /bin/capacity.sh
code=\$?
tar c -C /out \$(cd /out && ls result.json server.log) >/dev/nvme0n1
sync
exit \$code
SCRIPT
  local status=0
  scripts/guest/guest.sh -m "${megabytes}M" -t "$seconds" -d "$out/$n/disk" "$out/$n/script" \
    "$out/bin/edgeloop" "$out/bin/edgebench" scripts/guest/capacity.sh "${tls[@]}" || status=$?
  tar x -C "$out/$n" -f "$out/$n/disk" 2>/dev/null || true
  rm -f "$out/$n/disk"
  return "$status"
}

failed=0 files=() kind=capacity$mqtt$secure
[ "$guest" = auto ] || kind=capacity$mqtt$secure-guest
for n in "$@"; do
  if [ "$guest" = auto ]; then
    echo "== $n devices, natively, at most $(($(total "$n") / 60)) min" >&2
    run_native "$n" || failed=$?
  else
    echo "== $n devices, in a guest (one process may have $hard descriptors here), at most $(($(total "$n") / 60)) min" >&2
    run_guest "$n" || failed=$?
  fi
  name=$date-$kind-$n
  if [ ! -s "$out/$n/result.json" ]; then
    echo "bench-capacity.sh: no result for $n devices" >&2
    tail -n 5 "$out/$n/server.log" >&2 2>/dev/null || true
    failed=1
    continue
  fi
  cp "$out/$n/result.json" "bench/results/$name.json"
  files+=("bench/results/$name.json")
done
[ ${#files[@]} -gt 0 ] || exit 1

page=bench/results/$date-$kind
if [ ${#files[@]} -eq 1 ]; then
  page=${files[0]%.json}
fi
"$out/bin/edgebench" report -o "$page.html" --png "$out/png" "${files[@]}" >&2
{
  echo "# One node, many devices, $date"
  echo
  echo "One \`edgeloop serve\` process; every device authenticated (HS256) and registered. Telemetry: one sequenced"
  echo "message from each, acknowledged after the log was synced. Storm: all reset at once and come back, beside a"
  echo "control group that stays. Drain: SIGTERM. Memory per device is marginal, after a forced collection."
  if [ -n "$secure" ]; then
    echo
    echo "By TLS 1.3 (\`--tls-records=own\`); devices resume by tickets as soon as one of them has one."
    echo "A device is pinged once in \`N/1000\` s, and not more often than every 30 s."
  fi
  if [ -n "$mqtt" ]; then
    echo
    echo "They speak MQTT 3.1.1; a telemetry message is a PUBLISH of QoS 1, acknowledged by its PUBACK."
    echo "Each subscribes to its commands. A drain cuts them, which is all that 3.1.1 has: nobody is told 1001."
  fi
  if [ "$guest" != auto ]; then
    echo
    echo "It ran in a guest without hardware support: counts, memory and order of events hold, CPU times and latencies"
    echo "are those of the emulation, a multiple of the hardware's; only their course over the columns means something."
    echo "Its log lay in memory (tmpfs), where a sync waits for no disk."
  fi
  echo
  "$out/bin/edgebench" table "${files[@]}"
  for curve in memory cpu; do
    if [ -s "$out/png/capacity-$curve.png" ]; then
      cp "$out/png/capacity-$curve.png" "$page-$curve.png"
      echo
      echo "![$curve of one device over the number of devices]($(basename "$page")-$curve.png)"
    fi
  done
  echo
  echo "Command: \`$command\`. Commit: $commit. Host: $(nproc) cores, Linux $(uname -r)."
  echo "All plots: [$(basename "$page").html]($(basename "$page").html)."
  echo "Raw numbers: $(for f in "${files[@]}"; do printf '[%s](%s) ' "$(basename "$f")" "$(basename "$f")"; done)"
} | tee "$page.md"
exit "$failed"
