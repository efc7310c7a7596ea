package doctor

import (
	"errors"
	"strings"
)

// clock checks the clock: tokens expire by it, and between nodes it decides which connection
// is the newest.
func (e *exam) clock() Check {
	c := Check{ID: "clock"}
	synchronised, wrong, err := e.root.Clock()
	if err != nil {
		return unread(c, err)
	}
	if synchronised {
		c.Value, c.Verdict, c.Note = "synchronised", OK, "wrong by at most "+short(wrong)
		return c
	}
	c.Value, c.Verdict = "on its own", Warn
	c.Note = "no time service keeps it: tokens expire too early or too late, and epochs of several nodes do not compare"
	c.Fix = &Remedy{Now: "timedatectl set-ntp true", File: "/etc/systemd/timesyncd.conf", Line: "NTP=pool.ntp.org"}
	return c
}

func (e *exam) kernel() Check {
	c := Check{ID: "kernel", Verdict: Info}
	release, err := e.root.text(sysctlFile("kernel.osrelease"))
	if err != nil {
		return unread(c, err)
	}
	c.Value = release
	return c
}

// hugePages is checked because "always" makes sparse heaps resident.
func (e *exam) hugePages() Check {
	const name = "sys/kernel/mm/transparent_hugepage/enabled"
	c := Check{ID: "transparent_hugepages", Verdict: Info}
	s, err := e.root.text(name)
	if missing(err) {
		c.Value = "not built in"
		return c
	} else if err != nil {
		return unread(c, err)
	}
	_, rest, _ := strings.Cut(s, "[")
	mode, _, ok := strings.Cut(rest, "]")
	if !ok {
		return unread(c, errors.New("/"+name+": "+s))
	}
	c.Value = mode
	if mode == "always" {
		c.Note = "partly used memory counts as fully used: expect more per device than the figure above"
		c.Fix = &Remedy{Now: "echo madvise > /" + name, File: "/etc/default/grub", Line: `GRUB_CMDLINE_LINUX="transparent_hugepage=madvise"`}
	}
	return c
}
