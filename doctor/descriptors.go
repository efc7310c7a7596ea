package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// capSysResource is the bit of CapEff that lets a process raise hard limits.
const capSysResource = 24

// fileMax is the limit of the whole machine. It assumes that open files stay open.
func (e *exam) fileMax() Check {
	const name = "fs.file-max"
	c := Check{ID: name, caps: true}
	most, err := e.root.number(sysctlFile(name))
	if err != nil {
		return unread(c, err)
	}
	open, err := e.root.number(sysctlFile("fs.file-nr"))
	if err != nil {
		return unread(c, err)
	}
	if most >= tooMany {
		c.Value, c.Verdict, c.Note = "unlimited", OK, count(open)+" open on the whole machine"
		return c
	}
	c.Value = count(most)
	c = e.carries(c, most-open-e.own, "%s - %s open on the whole machine - %s of the node's own", count(most), count(open), count(e.own))
	c.Fix = sysctl(name, strconv.FormatInt(e.target(c)+open+e.own, 10))
	return c
}

// nrOpen is the ceiling of every hard limit.
func (e *exam) nrOpen() Check {
	const name = "fs.nr_open"
	c := Check{ID: name, caps: true}
	most, err := e.root.number(sysctlFile(name))
	if err != nil {
		return unread(c, err)
	}
	c.Value = count(most)
	c = e.carries(c, most-e.own, "%s - %s of the node's own; no hard limit can be above it", count(most), count(e.own))
	c.Fix = sysctl(name, strconv.FormatInt(e.target(c)+e.own, 10))
	return c
}

// nofileHard is the limit that counts: a node raises its soft limit to it.
func (e *exam) nofileHard() Check {
	c := Check{ID: "nofile_hard", caps: true}
	_, hard, err := e.root.Descriptors()
	if err != nil {
		return unread(c, err)
	}
	most := int64(min(hard, tooMany)) //nolint:gosec // just bounded
	if most >= tooMany {
		c.Value, c.Verdict = "unlimited", OK
		return c
	}
	c.Value = count(most)
	c = e.carries(c, most-e.own, "%s - %s of the node's own (512 --fd-reserve, 256 to refuse with)", count(most), count(e.own))
	if e.own != defaultOwnDescriptors {
		c.Arithmetic = fmt.Sprintf("%s - %s for the node itself", count(most), count(e.own))
	}
	need := e.target(c) + e.own
	lift := fmt.Sprintf("LimitNOFILE=%d", need)
	switch e.reach() {
	case reachSelf:
		c.Fix = unit(fmt.Sprintf("ulimit -n %d", need), lift)
	case reachContainer:
		c.Fix = &Remedy{
			Now:  fmt.Sprintf("docker run --ulimit nofile=%d:%d ...", need, need),
			File: "compose.yaml",
			Line: fmt.Sprintf("ulimits: {nofile: %d}", need),
		}
	default:
		c.Fix = unit(fmt.Sprintf("sudo prlimit --pid $$ --nofile=%d:%d", need, need), lift)
	}
	return c
}

// nofileSoft is shown because people look for it; it does not limit a node.
func (e *exam) nofileSoft() Check {
	c := Check{ID: "nofile_soft"}
	soft, _, err := e.root.Descriptors()
	if err != nil {
		return unread(c, err)
	}
	c.Value, c.Verdict = count(int64(min(soft, tooMany))), Info //nolint:gosec // bounded
	c.Note = "a node raises it to the hard limit by itself"
	return c
}

// reach says who can raise the hard limit.
type reach uint8

const (
	reachSudo      reach = iota // root can; this process is not root
	reachSelf                   // this process can
	reachSystemd                // systemd can, through the unit
	reachContainer              // root here cannot; the host of this container can
	reachUnknown
	numReach
)

func (e *exam) reach() reach {
	s, err := e.root.field("proc/self/status", "CapEff:")
	if err != nil {
		return reachUnknown
	}
	capabilities, err := strconv.ParseUint(s, 16, 64)
	if err != nil {
		return reachUnknown
	}
	uid, err := e.root.field("proc/self/status", "Uid:")
	if err != nil {
		return reachUnknown
	}
	_, err = fs.Stat(e.root.FS, "run/systemd/system")
	switch systemd := err == nil; {
	case capabilities>>capSysResource&1 == 1:
		return reachSelf
	case systemd:
		return reachSystemd
	case strings.HasPrefix(uid, "0\t"):
		return reachContainer
	}
	return reachSudo
}

// nofileReach says how far the hard limit can be raised, and by whom.
func (e *exam) nofileReach() Check {
	c := Check{ID: "nofile_reach", Verdict: Info}
	who := [numReach]string{
		reachSudo:      "root can raise the hard limit up to fs.nr_open; this process is not root",
		reachSelf:      "this user can raise the hard limit up to fs.nr_open (CAP_SYS_RESOURCE)",
		reachSystemd:   "systemd can raise the hard limit up to fs.nr_open, with LimitNOFILE= in the unit",
		reachContainer: "root here lacks CAP_SYS_RESOURCE and there is no systemd: only the host of this container or machine can raise it",
	}
	r := e.reach()
	if r == reachUnknown {
		return unread(c, errors.New("/proc/self/status does not show the capabilities of this process"))
	}
	c.Value, c.Note = "fixed", who[r]
	if r != reachContainer {
		c.Value = "raisable"
		if most, err := e.root.number(sysctlFile("fs.nr_open")); err == nil {
			c.Value = "to " + count(most)
		}
	}
	return c
}

// epollWatches is the limit of watches; each connection is one watch of a loop.
func (e *exam) epollWatches() Check {
	const name = "fs.epoll.max_user_watches"
	c := Check{ID: name, caps: true}
	most, err := e.root.number(sysctlFile(name))
	if err != nil {
		return unread(c, err)
	}
	c.Value = count(most)
	c = e.carries(c, most, "one for each connection of this user")
	c.Fix = sysctl(name, strconv.FormatInt(e.target(c), 10))
	return c
}
