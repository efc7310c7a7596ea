package doctor

import (
	"fmt"
	"strconv"
)

const (
	// leastBacklog has been the default of Linux since 5.4.
	leastBacklog = 4096
	// mostBacklog is the most that a listener may ask the kernel for.
	mostBacklog = 65_535
)

// conntrack counts every connection once a firewall rule looks at any. Beyond the limit the
// kernel drops packets, and devices with them.
func (e *exam) conntrack() Check {
	const name = "net.netfilter.nf_conntrack_max"
	c := Check{ID: name}
	most, err := e.root.number(sysctlFile(name))
	if missing(err) {
		c.Value, c.Verdict = "not loaded", OK
		return c
	} else if err != nil {
		return unread(c, err)
	}
	used, err := e.root.number(sysctlFile("net.netfilter.nf_conntrack_count"))
	if err != nil {
		return unread(c, err)
	}
	c.Value, c.caps = count(most), used > 0
	c = e.carries(c, most-used, "%s - %s tracked now", count(most), count(used))
	if used == 0 {
		c.Note = "loaded, but nothing is tracked now: it limits devices once a firewall rule of this machine looks at connections"
	}
	c.Fix = sysctl(name, strconv.FormatInt(e.target(c)+used, 10))
	return c
}

// somaxconn is the longest backlog; a listener of the node asks for all of it.
func (e *exam) somaxconn() Check {
	const name = "net.core.somaxconn"
	c := Check{ID: name}
	n, err := e.root.number(sysctlFile(name))
	if err != nil {
		return unread(c, err)
	}
	c.Value = count(n)
	c = e.carries(c, n*stormFactor, "storm: %s * (%s to return / %s for which the acceptor may be busy)",
		count(n), stormSpread, acceptPause)
	if c.Verdict == Warn {
		c.Note = "more devices fit, but when all return at once some wait a second or more for the kernel to retry"
	}
	if want := (e.target(c) + stormFactor - 1) / stormFactor; n < mostBacklog {
		c.Fix = sysctl(name, strconv.FormatInt(min(max(want, leastBacklog), mostBacklog), 10))
	}
	return c
}

// synBacklog bounds half-open connections, unless SYN cookies take over.
func (e *exam) synBacklog() Check {
	const name = "net.ipv4.tcp_max_syn_backlog"
	c := Check{ID: name}
	n, err := e.root.number(sysctlFile(name))
	if err != nil {
		return unread(c, err)
	}
	c.Value = count(n)
	cookies, err := e.root.number(sysctlFile("net.ipv4.tcp_syncookies"))
	c = e.carries(c, n*stormFactor, "storm: %s * (%s to return / %s of round trip)", count(n), stormSpread, acceptPause)
	switch {
	case err == nil && cookies > 0:
		c.Verdict, c.Note = OK, "beyond it SYN cookies answer (tcp_syncookies is on)"
	case c.Verdict == Warn:
		c.Note = "more devices fit, but a storm loses connection requests: SYN cookies are off"
	}
	want := (e.target(c) + stormFactor - 1) / stormFactor
	c.Fix = sysctl(name, strconv.FormatInt(max(want, leastBacklog), 10))
	return c
}

// localPorts is shown because people look there first. It does not limit a server: all its
// connections share the port that it listens on.
func (e *exam) localPorts() Check {
	const name = "net.ipv4.ip_local_port_range"
	c := Check{ID: name}
	v, err := e.root.numbers(sysctlFile(name), 2)
	if err != nil {
		return unread(c, err)
	}
	c.Value, c.Verdict = fmt.Sprintf("%d to %d", v[0], v[1]), Info
	ports := max(0, v[1]-v[0]+1)
	c.Note = fmt.Sprintf("not a limit of a server, which has one port for all; it limits a client, a proxy or a bench to %s connections from each address", count(ports))
	if v[0] > 1024 {
		c.Fix = sysctl(name, fmt.Sprintf("1024 %d", max(v[1], 65_000)))
	}
	return c
}
