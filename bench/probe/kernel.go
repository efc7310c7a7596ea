package probe

import (
	"bufio"
	"os"
	"strconv"
	"strings"
)

// Kernel is what the kernel holds for all sockets of this machine, both ends of
// loopback connections included.
type Kernel struct {
	// Sockets is "sockets: used"; TCP is TCP sockets in use, with TIME_WAIT apart.
	Sockets  int64 `json:"sockets"`
	TCP      int64 `json:"tcp_in_use"`
	TimeWait int64 `json:"tcp_time_wait"`
	Orphans  int64 `json:"tcp_orphans"`
	// TCPMemory is bytes in socket buffers.
	TCPMemory int64 `json:"tcp_memory_bytes"`
	// Slab is all of the kernel's slab memory in bytes, Unreclaimable that part of
	// it which sockets are made of. Differences matter, not the values.
	Slab          int64 `json:"slab_bytes"`
	Unreclaimable int64 `json:"slab_unreclaimable_bytes"`
	// Available is MemAvailable in bytes.
	Available int64 `json:"available_bytes"`
}

// ReadKernel reads /proc/net/sockstat and /proc/meminfo.
func ReadKernel() Kernel {
	var k Kernel
	mem := fields("/proc/meminfo")
	k.Slab, k.Unreclaimable = mem["Slab"]<<10, mem["SUnreclaim"]<<10
	k.Available = mem["MemAvailable"] << 10
	f, err := os.Open("/proc/net/sockstat")
	if err != nil {
		return k
	}
	defer func() { _ = f.Close() }()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		kind, rest, _ := strings.Cut(sc.Text(), ":")
		m := pairs(rest)
		switch kind {
		case "sockets":
			k.Sockets = m["used"]
		case "TCP":
			k.TCP, k.TimeWait, k.Orphans = m["inuse"], m["tw"], m["orphan"]
			k.TCPMemory = m["mem"] * int64(os.Getpagesize())
		}
	}
	return k
}

// pairs reads "name 12 other 34".
func pairs(s string) map[string]int64 {
	m := make(map[string]int64)
	f := strings.Fields(s)
	for i := 0; i+1 < len(f); i += 2 {
		m[f[i]], _ = strconv.ParseInt(f[i+1], 10, 64)
	}
	return m
}
