package probe

import (
	"bufio"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"golang.org/x/sys/unix"
)

// Machine says where a result was made.
type Machine struct {
	Kernel   string            `json:"kernel"`
	CPU      string            `json:"cpu"`
	Cores    int               `json:"cores"`
	Memory   int64             `json:"memory_bytes"`
	Go       string            `json:"go"`
	Revision string            `json:"revision,omitempty"` // of this program, where the build recorded it
	NoFile   uint64            `json:"nofile_soft"`
	NoFileHi uint64            `json:"nofile_hard"`
	Sysctls  map[string]string `json:"sysctls"`
	// Emulated says that a hypervisor without hardware support runs this machine:
	// its CPU times and latencies are not those of the hardware.
	Emulated bool `json:"emulated,omitempty"`
}

// sysctls that decide how many connections fit and how fast they come.
func sysctlNames() []string {
	return []string{
		"fs/file-max", "fs/nr_open", "net/core/somaxconn", "net/core/netdev_max_backlog",
		"net/ipv4/ip_local_port_range", "net/ipv4/tcp_max_syn_backlog", "net/ipv4/tcp_mem",
		"net/ipv4/tcp_rmem", "net/ipv4/tcp_wmem", "net/ipv4/tcp_syncookies", "net/ipv4/tcp_tw_reuse",
	}
}

// ReadMachine describes this machine.
func ReadMachine() Machine {
	m := Machine{Cores: runtime.NumCPU(), Go: runtime.Version(), Sysctls: make(map[string]string)}
	m.Kernel = firstLine("/proc/sys/kernel/osrelease")
	m.Memory = fields("/proc/meminfo")["MemTotal"] << 10
	m.CPU, m.Emulated = cpu()
	var lim unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &lim) == nil {
		m.NoFile, m.NoFileHi = lim.Cur, lim.Max
	}
	for _, name := range sysctlNames() {
		if v := firstLine("/proc/sys/" + name); v != "" {
			m.Sysctls[strings.ReplaceAll(name, "/", ".")] = strings.Join(strings.Fields(v), " ")
		}
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				m.Revision = s.Value
			}
		}
	}
	return m
}

func cpu() (model string, emulated bool) {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return "", false
	}
	defer func() { _ = f.Close() }()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		if name, value, ok := strings.Cut(sc.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
			model = strings.TrimSpace(value)
			return model, strings.Contains(model, "QEMU TCG")
		}
	}
	return "", false
}

func firstLine(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return strings.TrimSpace(line)
}
