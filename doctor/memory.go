package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// memory is what is available without swapping.
func (e *exam) memory() Check {
	c := Check{ID: "memory_available", caps: true}
	bytes, err := e.available()
	if err != nil {
		return unread(c, err)
	}
	c.Value = size(bytes)
	c = e.byMemory(c, bytes)
	c.Fix = &Remedy{
		Now:  "free " + size(e.memoryFor(e.target(c))) + ": stop what else runs here, or add memory",
		File: "the machine's or guest's definition",
		Line: "memory of at least that much",
	}
	return c
}

// available is MemAvailable in bytes.
func (e *exam) available() (int64, error) {
	s, err := e.root.field("proc/meminfo", "MemAvailable:")
	if err != nil {
		return 0, err
	}
	kib, err := strconv.ParseInt(strings.TrimSuffix(s, " kB"), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("/proc/meminfo: MemAvailable: %q is not a number", s)
	}
	return kib << 10, nil
}

// byMemory gives the verdict on bytes of memory that devices may take.
func (e *exam) byMemory(c Check, bytes int64) Check {
	return e.carries(c, (bytes-nodeBytes-inflightBytes)/memoryPerDevice,
		"(%s - %s node - %s in flight) / %s B (%s kernel + %s node + %d log index)",
		size(bytes), size(nodeBytes), size(inflightBytes),
		count(memoryPerDevice), count(socketBytes), count(deviceBytes), logIndexBytes)
}

// memoryFor is the memory that a node with this many devices needs.
func (e *exam) memoryFor(devices int64) int64 {
	return devices*memoryPerDevice + nodeBytes + inflightBytes
}

// cgroupMemory is the narrowest memory limit of the control groups above us.
func (e *exam) cgroupMemory() Check {
	c := Check{ID: "cgroup_memory", caps: true}
	g, err := e.narrowest("memory")
	switch {
	case err != nil:
		return unread(c, err)
	case g == nil:
		c.Value, c.Verdict = "unlimited", OK
		return c
	}
	c.Value = size(g.limit)
	c = e.byMemory(c, g.limit-g.used)
	c.Arithmetic = strings.Replace(c.Arithmetic, "("+size(g.limit-g.used), "("+size(g.limit)+" - "+size(g.used)+" used", 1)
	c.Note = "of /" + g.dir
	need := e.memoryFor(e.target(c)) + g.used
	c.Fix = unit(fmt.Sprintf("echo %d > /%s/%s", need, g.dir, g.file), fmt.Sprintf("MemoryMax=%d", need))
	return c
}

// tcpMem bounds the buffers of all TCP sockets together. Above the middle number the kernel
// shrinks buffers; at the last one it refuses memory to sockets.
func (e *exam) tcpMem() Check {
	const name = "net.ipv4.tcp_mem"
	c := Check{ID: name}
	v, err := e.root.numbers(sysctlFile(name), 3)
	if err != nil {
		return unread(c, err)
	}
	used, err := e.tcpPages()
	if err != nil {
		return unread(c, err)
	}
	c.Value = fmt.Sprintf("%d %d %d pages", v[0], v[1], v[2])
	c = e.carries(c, (v[2]-used)/bufferPages, "in traffic: (%s - %s pages used) / %d pages, one each way",
		count(v[2]), count(used), bufferPages)
	if c.Verdict == Warn {
		c.Note = "more devices fit while they are idle and have no buffers; in a broadcast to all or a storm of all the kernel refuses memory to some"
	}
	top := e.target(c)*bufferPages + used + 2
	c.Fix = sysctl(name, fmt.Sprintf("%d %d %d", top/2, top/3*2, top))
	return c
}

// tcpPages is how many pages TCP buffers take now.
func (e *exam) tcpPages() (int64, error) {
	const name = "proc/net/sockstat"
	s, err := e.root.field(name, "TCP:")
	if err != nil {
		return 0, err
	}
	f := strings.Fields(s)
	for i := 0; i+1 < len(f); i += 2 {
		if f[i] == "mem" {
			n, err := strconv.ParseInt(f[i+1], 10, 64)
			if err != nil {
				return 0, fmt.Errorf("/%s: mem %q is not a number", name, f[i+1])
			}
			return n, nil
		}
	}
	return 0, errors.New("/" + name + ": no mem in the line of TCP")
}

func (e *exam) tcpRmem() Check { return e.minimumBuffer("net.ipv4.tcp_rmem") }
func (e *exam) tcpWmem() Check { return e.minimumBuffer("net.ipv4.tcp_wmem") }

// minimumBuffer checks the first number, which a socket gets even under pressure. The last
// is what one peer that does not read may hold, as long as tcp_mem allows.
func (e *exam) minimumBuffer(name string) Check {
	c := Check{ID: name}
	v, err := e.root.numbers(sysctlFile(name), 3)
	if err != nil {
		return unread(c, err)
	}
	c.Value = fmt.Sprintf("%d %d %d", v[0], v[1], v[2])
	bytes, err := e.available()
	if err != nil {
		return unread(c, err)
	}
	c = e.carries(c, (bytes-nodeBytes-inflightBytes)/(memoryPerDevice+v[0]),
		"as memory, with a full minimum buffer of %s B for every device", count(v[0]))
	if c.Verdict == Warn {
		c.Note = "the devices fit while they are idle"
		c.Fix = sysctl(name, fmt.Sprintf("%d %d %d", min(v[0], pageBytes), v[1], v[2]))
	}
	return c
}

// missing reports whether a file does not exist, which for some limits means "none".
func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
