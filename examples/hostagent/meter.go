package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// meter reads the machine's own figures from /proc and /sys.
type meter struct{ busy, total float64 }

func (m *meter) read() map[string]any {
	data := map[string]any{"mem_free_pct": memory(), "disk_free_pct": disk("/")}
	busy, total := cpu()
	if total > m.total {
		data["cpu_pct"] = percent(busy-m.busy, total-m.total)
	}
	m.busy, m.total = busy, total
	data["rx_bytes"], data["tx_bytes"] = network()
	if files, _ := filepath.Glob("/sys/class/thermal/thermal_zone*/temp"); len(files) > 0 {
		var milli float64
		if n, _ := fmt.Sscan(content(files[0]), &milli); n == 1 {
			data["temp_c"] = milli / 1000
		}
	}
	return data
}

// cpu adds up the ticks of all processors since boot.
func cpu() (busy, total float64) {
	var user, nice, system, idle, iowait, irq, softirq, steal float64
	_, _ = fmt.Sscanf(content("/proc/stat"), "cpu %g %g %g %g %g %g %g %g", &user, &nice, &system, &idle, &iowait, &irq, &softirq, &steal)
	busy = user + nice + system + irq + softirq + steal
	return busy, busy + idle + iowait
}

func memory() float64 {
	var total, free, available float64
	_, _ = fmt.Sscanf(content("/proc/meminfo"), "MemTotal: %g kB\nMemFree: %g kB\nMemAvailable: %g kB", &total, &free, &available)
	return percent(available, total)
}

func disk(path string) float64 {
	var s syscall.Statfs_t
	_ = syscall.Statfs(path, &s) // zeroes on error, as for an unreadable file
	return percent(float64(s.Bavail), float64(s.Blocks))
}

// network adds up the bytes of all interfaces but loopback.
func network() (rx, tx uint64) {
	for _, line := range strings.Split(content("/proc/net/dev"), "\n") {
		name, figures, found := strings.Cut(line, ":")
		if f := strings.Fields(figures); found && strings.TrimSpace(name) != "lo" && len(f) > 8 {
			var r, t uint64
			_, _ = fmt.Sscan(f[0]+" "+f[8], &r, &t)
			rx, tx = rx+r, tx+t
		}
	}
	return rx, tx
}

func content(path string) string {
	b, _ := os.ReadFile(path) // "" reads as zero everywhere
	return string(b)
}

func percent(part, whole float64) float64 { return float64(int(1000*part/max(whole, 1))) / 10 }
