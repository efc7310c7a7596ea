package doctor_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"edgeloop/doctor"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// files is a machine on which nothing is short: 16 GiB, all limits wide.
func files() fstest.MapFS {
	m := fstest.MapFS{}
	for name, text := range map[string]string{
		"proc/sys/fs/file-max":                              "1000000\n",
		"proc/sys/fs/file-nr":                               "500\t0\t1000000\n",
		"proc/sys/fs/nr_open":                               "1048576\n",
		"proc/sys/fs/epoll/max_user_watches":                "3000000\n",
		"proc/sys/net/core/somaxconn":                       "4096\n",
		"proc/sys/net/ipv4/tcp_max_syn_backlog":             "4096\n",
		"proc/sys/net/ipv4/tcp_syncookies":                  "1\n",
		"proc/sys/net/ipv4/tcp_mem":                         "190000\t250000\t380000\n",
		"proc/sys/net/ipv4/tcp_rmem":                        "4096\t131072\t6291456\n",
		"proc/sys/net/ipv4/tcp_wmem":                        "4096\t16384\t4194304\n",
		"proc/sys/net/ipv4/ip_local_port_range":             "32768\t60999\n",
		"proc/sys/kernel/osrelease":                         "6.12.0-test\n",
		"proc/net/sockstat":                                 "sockets: used 30\nTCP: inuse 5 orphan 0 tw 0 alloc 6 mem 10\nUDP: inuse 1 mem 1\n",
		"proc/meminfo":                                      "MemTotal:       16777216 kB\nMemFree:        1000 kB\nMemAvailable:   14680064 kB\n",
		"proc/self/status":                                  "Name:\tx\nUid:\t0\t0\t0\t0\nCapEff:\t000001ffffffffff\n",
		"proc/self/cgroup":                                  "0::/system.slice/edgeloop.service\n",
		"proc/self/mountinfo":                               "30 23 0:26 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw\n",
		"sys/fs/cgroup/system.slice/cgroup.procs":           "",
		"sys/fs/cgroup/system.slice/edgeloop.service/x":     "",
		"sys/kernel/mm/transparent_hugepage/enabled":        "always [madvise] never\n",
		"sys/fs/cgroup/system.slice/memory.max":             "max\n",
		"sys/fs/cgroup/system.slice/edgeloop.service/y.max": "max\n",
	} {
		m[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return m
}

// machine answers for files and for a hard limit of 200,000 descriptors.
func machine(m fstest.MapFS) doctor.Root {
	return doctor.Root{
		FS:          m,
		Descriptors: func() (uint64, uint64, error) { return 1024, 200_000, nil },
		Cores:       func() int { return 4 },
		Free:        func(string) (string, int64, error) { return "/srv/data", 200 << 30, nil },
		Sync: func(string, int, time.Duration) ([]time.Duration, error) {
			return []time.Duration{2 * time.Millisecond, time.Millisecond, 9 * time.Millisecond}, nil
		},
		Clock: func() (bool, time.Duration, error) { return true, 12 * time.Millisecond, nil },
		Write: func(name, value string) error {
			m[name] = &fstest.MapFile{Data: []byte(value + "\n")}
			return nil
		},
	}
}

func examine(t *testing.T, devices int, root doctor.Root) *doctor.Report {
	t.Helper()
	r, err := doctor.Examine(doctor.Config{Devices: devices, DataDir: "/srv/data", Root: root})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Each case lowers one limit of a wide machine, and must find that one first.
func TestExamine_EachLimitCanBeFirst(t *testing.T) {
	group := "sys/fs/cgroup/system.slice/edgeloop.service/"
	for _, test := range []struct {
		id      string
		set     map[string]string
		devices int64
	}{
		{"fs.file-max", map[string]string{"proc/sys/fs/file-max": "11268"}, 10_000},
		{"fs.nr_open", map[string]string{"proc/sys/fs/nr_open": "4096"}, 3328},
		{"fs.epoll.max_user_watches", map[string]string{"proc/sys/fs/epoll/max_user_watches": "9000"}, 9000},
		{"memory_available", map[string]string{"proc/meminfo": "MemAvailable: 921600 kB"}, (580 << 20) / 7345},
		{"cgroup_memory", map[string]string{group + "memory.max": "536870912", group + "memory.current": "104857600", group + "memory.stat": "anon 1\ninactive_file 52428800\n"}, (142 << 20) / 7345},
		{"cgroup_memory", map[string]string{"sys/fs/cgroup/system.slice/memory.max": "536870912", "sys/fs/cgroup/system.slice/memory.current": "0"}, (192 << 20) / 7345},
		{"cgroup_memory", map[string]string{ // both set one, the upper has less room left
			group + "memory.max": "629145600", group + "memory.current": "0",
			"sys/fs/cgroup/system.slice/memory.max": "838860800", "sys/fs/cgroup/system.slice/memory.current": "314572800",
		}, (180 << 20) / 7345},
		{"cgroup_memory", map[string]string{ // version 1 beside an empty 2, of which a container sees its own part
			"proc/self/cgroup":               "0::/\n4:cpu,memory:/docker/abc/in",
			"proc/self/mountinfo":            "30 23 0:26 /docker/abc /mnt/m rw - cgroup cgroup rw,cpu,memory\n31 23 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw",
			"mnt/m/memory.limit_in_bytes":    "9223372036854771712",
			"mnt/m/in/memory.limit_in_bytes": "536870912",
			"mnt/m/in/memory.usage_in_bytes": "0",
			"sys/fs/cgroup/memory.max":       "1",
		}, (192 << 20) / 7345},
		{"cgroup_pids", map[string]string{group + "pids.max": "50", group + "pids.current": "11"}, 0},
		{"net.netfilter.nf_conntrack_max", map[string]string{"proc/sys/net/netfilter/nf_conntrack_max": "65536", "proc/sys/net/netfilter/nf_conntrack_count": "36"}, 65_500},
	} {
		t.Run(test.id, func(t *testing.T) {
			m := files()
			for name, text := range test.set {
				m[name] = &fstest.MapFile{Data: []byte(text + "\n")}
			}
			r := examine(t, 100_000, machine(m))
			if r.Fits || r.First == nil || r.First.ID != test.id || *r.Devices != test.devices {
				t.Errorf("fits %v, first %+v, want %s at %d", r.Fits, r.First, test.id, test.devices)
			}
			if c := find(t, r, test.id); c.Verdict != doctor.Limits || c.Fix == nil || c.Fix.Now == "" || c.Fix.File == "" || c.Fix.Line == "" {
				t.Errorf("%+v with fix %+v", c, c.Fix)
			}
			if r.Next == nil || r.Next.Devices != 200_000-768 && r.Next.Devices < test.devices {
				t.Errorf("next %+v", r.Next)
			}
		})
	}
}

// What slows a storm or ends a log early does not say that devices do not fit.
func TestExamine_WarningsDoNotCap(t *testing.T) {
	for id, set := range map[string]map[string]string{
		"net.core.somaxconn":             {"proc/sys/net/core/somaxconn": "128"},
		"net.ipv4.tcp_max_syn_backlog":   {"proc/sys/net/ipv4/tcp_max_syn_backlog": "128", "proc/sys/net/ipv4/tcp_syncookies": "0"},
		"net.ipv4.tcp_mem":               {"proc/sys/net/ipv4/tcp_mem": "100 200 300"},
		"net.ipv4.tcp_rmem":              {"proc/sys/net/ipv4/tcp_rmem": "9000000 9000000 9000000"},
		"net.netfilter.nf_conntrack_max": {"proc/sys/net/netfilter/nf_conntrack_max": "10", "proc/sys/net/netfilter/nf_conntrack_count": "0"},
	} {
		t.Run(id, func(t *testing.T) {
			m := files()
			for name, text := range set {
				m[name] = &fstest.MapFile{Data: []byte(text)}
			}
			r := examine(t, 100_000, machine(m))
			if c := find(t, r, id); !r.Fits || c.Verdict != doctor.Warn || *c.Devices >= 100_000 || c.Note == "" || c.Fix == nil {
				t.Errorf("fits %v, %+v", r.Fits, c)
			}
		})
	}
}

// A file that is missing or nonsense makes one check unknown, and no panic.
func TestExamine_UnreadableIsUnknown(t *testing.T) {
	for name := range files() {
		for _, text := range []string{"", "x", "1", "-\n-"} {
			m := files()
			m[name] = &fstest.MapFile{Data: []byte(text)}
			examine(t, 1000, machine(m))
		}
	}
	no := errors.New("not today")
	root := machine(fstest.MapFS{})
	root.Descriptors = func() (uint64, uint64, error) { return 0, 0, no }
	root.Free = func(string) (string, int64, error) { return "", 0, no }
	root.Sync = func(string, int, time.Duration) ([]time.Duration, error) { return nil, no }
	root.Clock = func() (bool, time.Duration, error) { return false, 0, no }
	r := examine(t, 1000, root)
	if r.First != nil || r.Devices != nil || len(r.NotKnown) < 5 {
		t.Errorf("first %+v, not known %v", r.First, r.NotKnown)
	}
	for _, id := range []string{"nofile_hard", "memory_available", "disk_sync", "clock", "fs.nr_open"} {
		if c := find(t, r, id); c.Verdict != doctor.Unknown || c.Note == "" || c.Devices != nil {
			t.Errorf("%+v", c)
		}
	}
}

func TestExamine_WrongConfig(t *testing.T) {
	for _, devices := range []int{-1, 1<<30 + 1} {
		if _, err := doctor.Examine(doctor.Config{Devices: devices, Root: machine(files())}); err == nil {
			t.Errorf("%d devices: no error", devices)
		}
	}
}

// Lifting by the commands the report gives must make the devices fit.
func TestFix_LiftsSysctls(t *testing.T) {
	m := files()
	m["proc/sys/fs/nr_open"].Data = []byte("50000")
	m["proc/sys/fs/file-max"].Data = []byte("50000")
	m["proc/sys/net/core/somaxconn"].Data = []byte("128")
	m["proc/sys/net/ipv4/tcp_mem"].Data = []byte("100 200 300")
	root := machine(m)
	r, err := doctor.Fix(doctor.Config{Devices: 150_000, DataDir: "/srv/data", Root: root})
	if err != nil {
		t.Fatal(err)
	}
	if !r.Fits || len(r.Actions) != 4 {
		t.Errorf("fits %v, first %+v, actions %+v", r.Fits, r.First, r.Actions)
	}
	for _, a := range r.Actions {
		if a.Did == "" || a.Error != "" || !strings.Contains(a.Operator, "/etc/sysctl.d/90-edgeloop.conf") {
			t.Errorf("%+v", a)
		}
	}
	t.Run("what it may not write is left to the operator", func(t *testing.T) {
		m["proc/sys/net/core/somaxconn"].Data = []byte("128")
		root.Write = func(name, _ string) error {
			return &fs.PathError{Op: "open", Path: "/" + name, Err: fs.ErrPermission}
		}
		r, err := doctor.Fix(doctor.Config{Devices: 150_000, Root: root})
		if err != nil || len(r.Actions) != 1 {
			t.Fatalf("%v, actions %+v", err, r.Actions)
		}
		if a := r.Actions[0]; a.Did != "" || a.Error == "" || !strings.Contains(a.Operator, "as root: sysctl -w net.core.somaxconn=4096") {
			t.Errorf("%+v", a)
		}
	})
	t.Run("a value that the kernel did not keep is an error", func(t *testing.T) {
		root.Write = func(string, string) error { return nil }
		r, _ := doctor.Fix(doctor.Config{Devices: 150_000, Root: root})
		if a := r.Actions[0]; a.Did != "" || !strings.Contains(a.Error, "is still 128") {
			t.Errorf("%+v", a)
		}
	})
}

// narrow is a small container: everything that can be short is.
func narrow() doctor.Root {
	m := files()
	m["proc/self/status"].Data = []byte("Uid:\t0\t0\t0\t0\nCapEff:\t000001fffeffffff\n")
	m["proc/sys/net/core/somaxconn"].Data = []byte("128")
	m["sys/fs/cgroup/system.slice/memory.max"].Data = []byte("805306368")
	m["sys/fs/cgroup/system.slice/memory.current"] = &fstest.MapFile{Data: []byte("104857600")}
	m["sys/kernel/mm/transparent_hugepage/enabled"].Data = []byte("[always] madvise never")
	root := machine(m)
	root.Descriptors = func() (uint64, uint64, error) { return 1024, 4096, nil }
	root.Clock = func() (bool, time.Duration, error) { return false, 0, nil }
	root.Free = func(string) (string, int64, error) { return "/srv", 5 << 30, nil }
	return root
}

func TestReport_Golden(t *testing.T) {
	for name, test := range map[string]struct {
		root  doctor.Root
		style doctor.Style
	}{
		"wide":            {root: machine(files())},
		"wide-all-80":     {machine(files()), doctor.Style{All: true, Width: 80}},
		"narrow":          {root: narrow()},
		"narrow-coloured": {narrow(), doctor.Style{Colour: true}},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if err := examine(t, 100_000, test.root).WriteTable(&out, test.style); err != nil {
				t.Fatal(err)
			}
			golden(t, name+".txt", out.Bytes())
			if !test.style.Colour && bytes.Contains(out.Bytes(), []byte("\x1b")) {
				t.Error("colours without a terminal")
			}
		})
	}
	out, err := json.MarshalIndent(examine(t, 100_000, narrow()), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "narrow.json", append(out, '\n'))
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; -update rewrites it.\ngot:\n%s\nwant:\n%s", path, got, want)
	}
}
