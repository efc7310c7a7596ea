package doctor

import (
	"fmt"
	"strconv"
)

// exam is one look at one machine.
type exam struct {
	cfg  Config
	root *Root
	want int64 // devices
	own  int64 // descriptors of the node itself
}

// tooMany is the largest real limit: values above it mean "no limit".
const tooMany = 1 << 40

// Examine reads all limits of cfg.Root. It changes nothing.
func Examine(cfg Config) (*Report, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	e := &exam{cfg: cfg, root: &cfg.Root, want: int64(cfg.Devices), own: int64(cfg.OwnDescriptors)}
	r := &Report{Schema: Schema, DataDir: cfg.DataDir, Wanted: e.want, Costs: e.costs()}
	for _, group := range []struct {
		name  string
		looks []func() Check
	}{
		{"Descriptors", []func() Check{e.fileMax, e.nrOpen, e.nofileHard, e.nofileSoft, e.nofileReach, e.epollWatches}},
		{"Memory and threads", []func() Check{e.memory, e.cgroupMemory, e.cgroupPids, e.tcpMem, e.tcpRmem, e.tcpWmem}},
		{"Network", []func() Check{e.conntrack, e.somaxconn, e.synBacklog, e.localPorts}},
		{"Disk", []func() Check{e.diskFree, e.diskSync}},
		{"System", []func() Check{e.clock, e.kernel, e.hugePages}},
	} {
		for _, look := range group.looks {
			c := look()
			c.Group = group.name
			r.Checks = append(r.Checks, c)
		}
	}
	r.conclude()
	return r, nil
}

// carries gives the verdict on a limit that is enough for n devices. If n is too low, a
// limit that caps connections gets Limits, any other Warn.
func (e *exam) carries(c Check, n int64, arithmetic string, args ...any) Check {
	n = max(n, 0)
	c.Devices, c.Arithmetic = &n, fmt.Sprintf(arithmetic, args...)
	switch {
	case n >= e.want:
		c.Verdict = OK
	case c.caps:
		c.Verdict = Limits
	default:
		c.Verdict = Warn
	}
	return c
}

// target is the number of devices that a fix aims at: the wanted number, or twice what fits
// where the wanted number does fit.
func (e *exam) target(c Check) int64 {
	if c.Devices == nil || *c.Devices < e.want {
		return e.want
	}
	return 2 * *c.Devices
}

// unread makes c the result for a limit that could not be read.
func unread(c Check, err error) Check {
	c.Value, c.Verdict, c.Note = "?", Unknown, err.Error()
	return c
}

// sysctl is the fix for a sysctl.
func sysctl(name, value string) *Remedy {
	arg := value
	if _, err := strconv.ParseInt(value, 10, 64); err != nil {
		arg = `"` + value + `"`
	}
	return &Remedy{
		Now:    "sysctl -w " + name + "=" + arg,
		File:   "/etc/sysctl.d/90-edgeloop.conf",
		Line:   name + " = " + value,
		sysctl: name, value: value,
	}
}

// unitFile overrides the systemd unit of the node.
const unitFile = "/etc/systemd/system/edgeloop.service.d/limits.conf"

// unit is the fix for a limit that systemd sets.
func unit(now, line string) *Remedy {
	return &Remedy{Now: now, File: unitFile, Line: "[Service] " + line}
}
