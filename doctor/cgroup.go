package doctor

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// group is the limit of one control group.
type group struct {
	dir, file   string // in Root.FS
	limit, used int64
}

// control names the files of one controller in either version.
type control struct{ limit, used, cache string }

func controlFiles(controller string, v1 bool) control {
	switch {
	case controller == "memory" && v1:
		return control{"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "}
	case controller == "memory":
		return control{"memory.max", "memory.current", "inactive_file "}
	}
	return control{limit: controller + ".max", used: controller + ".current"}
}

// narrowest finds the limit with the least room among this process's control group and
// those above it; nil if none sets a limit.
func (e *exam) narrowest(controller string) (*group, error) {
	inside, v1, err := e.membership(controller)
	if missing(err) || err == nil && inside == "" {
		return nil, nil //nolint:nilnil // no control groups, no limit
	} else if err != nil {
		return nil, err
	}
	top, inside, err := e.mount(controller, inside, v1)
	if err != nil || top == "" {
		return nil, err
	}
	files := controlFiles(controller, v1)
	var narrow *group
	for dir := path.Join(top, inside); ; dir = path.Dir(dir) {
		g, err := e.group(dir, files)
		if err != nil {
			return nil, err
		}
		if g != nil && (narrow == nil || g.limit-g.used < narrow.limit-narrow.used) {
			narrow = g
		}
		if dir == top || !strings.HasPrefix(dir, top+"/") {
			return narrow, nil
		}
	}
}

// membership is the group of this process, "" if controller has none. A controller of
// version 1 hides that of version 2.
func (e *exam) membership(controller string) (inside string, v1 bool, err error) {
	s, err := e.root.text("proc/self/cgroup")
	if err != nil {
		return "", false, err
	}
	for line := range strings.Lines(s) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case len(f) != 3:
			return "", false, fmt.Errorf("/proc/self/cgroup: %q", line)
		case slices.Contains(strings.Split(f[1], ","), controller):
			return f[2], true, nil
		case f[1] == "":
			inside = f[2]
		}
	}
	return inside, false, nil
}

// mount finds where the file system has the groups of controller, and makes inside relative
// to that: a container may see only part of the tree.
func (e *exam) mount(controller, inside string, v1 bool) (top, rel string, err error) {
	s, err := e.root.text("proc/self/mountinfo")
	if err != nil {
		return "", "", err
	}
	for line := range strings.Lines(s) {
		before, after, _ := strings.Cut(line, " - ")
		where, what := strings.Fields(before), strings.Fields(after)
		if len(where) < 5 || len(what) < 3 {
			continue
		}
		is := what[0] == "cgroup2"
		if v1 {
			is = what[0] == "cgroup" && slices.Contains(strings.Split(what[2], ","), controller)
		}
		if !is {
			continue
		}
		rel, ok := strings.CutPrefix(inside, strings.TrimSuffix(where[3], "/"))
		if !ok || strings.Contains(rel, "..") {
			rel = "" // outside the mounted part: only its top is visible
		}
		return strings.TrimPrefix(where[4], "/"), strings.Trim(rel, "/"), nil
	}
	return "", "", nil
}

// group reads one control group. It returns nil if the group sets no limit.
func (e *exam) group(dir string, files control) (*group, error) {
	s, err := e.root.text(path.Join(dir, files.limit))
	if missing(err) || s == "max" {
		return nil, nil //nolint:nilnil // the topmost group has no such file
	} else if err != nil {
		return nil, err
	}
	g := &group{dir: dir, file: files.limit}
	if g.limit, err = strconv.ParseInt(s, 10, 64); err != nil {
		return nil, fmt.Errorf("/%s/%s: %q is not a number", dir, files.limit, s)
	}
	if g.limit >= 1<<60 { // how version 1 writes "none"
		return nil, nil //nolint:nilnil // no limit
	}
	if g.used, err = e.root.number(path.Join(dir, files.used)); err != nil {
		return nil, err
	}
	if files.cache == "" {
		return g, nil
	}
	// Cached files count as used, but are dropped when memory is needed.
	if s, err := e.root.field(path.Join(dir, "memory.stat"), files.cache); err == nil {
		cached, _ := strconv.ParseInt(s, 10, 64)
		g.used = max(0, g.used-cached)
	}
	return g, nil
}

// threads is how many kernel threads a node may need.
func (e *exam) threads() int64 { return nodeThreads + threadsPerCore*int64(e.root.Cores()) }

// cgroupPids does not depend on the number of devices: a node has enough threads, or it dies.
func (e *exam) cgroupPids() Check {
	c := Check{ID: "cgroup_pids", caps: true}
	g, err := e.narrowest("pids")
	switch {
	case err != nil:
		return unread(c, err)
	case g == nil:
		c.Value, c.Verdict = "unlimited", OK
		return c
	}
	c.Value, c.Note = count(g.limit), "of /"+g.dir
	if room := g.limit - g.used; room >= e.threads() {
		c.Verdict = OK
		c.Arithmetic = fmt.Sprintf("%s - %s used leaves room for the node's %d threads, for any number of devices",
			count(g.limit), count(g.used), e.threads())
	} else {
		c = e.carries(c, 0, "%s - %s used is less than the %d threads that a node needs: it would abort",
			count(g.limit), count(g.used), e.threads())
	}
	need := g.used + 4*e.threads()
	c.Fix = unit(fmt.Sprintf("echo %d > /%s/%s", need, g.dir, g.file), fmt.Sprintf("TasksMax=%d", need))
	return c
}

// MemoryLimit is what the narrowest control group of this process allows it, bytes; 0: there
// is no limit, or none that can be read.
func MemoryLimit() int64 {
	root := Machine()
	g, err := (&exam{root: &root}).narrowest("memory")
	if err != nil || g == nil {
		return 0
	}
	return g.limit
}
