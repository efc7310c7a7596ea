package doctor_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"edgeloop/doctor"
)

// under runs a shell script that ends in `exec "$0"`, which is this test binary
// as TestMain's child, and returns the report it wrote.
func under(t *testing.T, devices int, env []string, script string, wrap ...string) *doctor.Report {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args := slices.Concat(wrap, []string{"sh", "-ec", script, self})
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = slices.Concat(os.Environ(), env, []string{fmt.Sprint("DOCTOR_TEST_DEVICES=", devices)})
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%q: %v\n%s", args, err, stderr.Bytes())
	}
	var r doctor.Report
	if err := json.Unmarshal(stdout.Bytes(), &r); err != nil {
		t.Fatalf("%v in %s", err, stdout.Bytes())
	}
	return &r
}

// lacking ends a test that this machine cannot run; in CI that is a failure.
func lacking(t *testing.T, what string, args ...any) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("in CI this must run: "+what, args...)
	}
	t.Skipf(what, args...)
}

func find(t *testing.T, r *doctor.Report, id string) doctor.Check {
	t.Helper()
	i := slices.IndexFunc(r.Checks, func(c doctor.Check) bool { return c.ID == id })
	if i < 0 {
		t.Fatalf("no check %s", id)
	}
	return r.Checks[i]
}

func TestMachine_LoweredDescriptors(t *testing.T) {
	r := under(t, 1000, nil, `ulimit -Sn 900; ulimit -Hn 1500; exec "$0"`)
	hard, soft := find(t, r, "nofile_hard"), find(t, r, "nofile_soft")
	if hard.Value != "1,500" || hard.Verdict != doctor.Limits || hard.Devices == nil || *hard.Devices != 1500-768 {
		t.Errorf("hard limit: %+v", hard)
	}
	if soft.Value != "900" {
		t.Errorf("soft limit %s: Go raises its own, the one it was started with is 900", soft.Value)
	}
	if r.Fits || r.First.ID != "nofile_hard" || *r.Devices != 732 || r.Next == nil {
		t.Errorf("fits %v, first %+v, next %+v", r.Fits, r.First, r.Next)
	}
	if !strings.Contains(hard.Fix.Now, "1768") {
		t.Errorf("lifted by %q, want 1000 + 768 descriptors", hard.Fix.Now)
	}
}

// In a network namespace of its own, so that this machine keeps its backlog.
func TestMachine_LoweredBacklog(t *testing.T) {
	if out, err := exec.Command("unshare", "-n", "true").CombinedOutput(); err != nil {
		lacking(t, "no network namespace: %v: %s", err, out)
	}
	const lower = `echo 16 > /proc/sys/net/core/somaxconn; exec "$0"`
	t.Run("is seen", func(t *testing.T) {
		r := under(t, 1000, nil, lower, "unshare", "-n")
		c := find(t, r, "net.core.somaxconn")
		if c.Value != "16" || c.Verdict != doctor.Warn || *c.Devices != 16*50 || c.Fix.Now != "sysctl -w net.core.somaxconn=4096" {
			t.Errorf("%+v", c)
		}
	})
	t.Run("is lifted by a fix", func(t *testing.T) {
		r := under(t, 1000, []string{"DOCTOR_TEST_FIX=1"}, lower, "unshare", "-n")
		c := find(t, r, "net.core.somaxconn")
		if c.Value != "4,096" || c.Verdict != doctor.OK {
			t.Errorf("%+v", c)
		}
		i := slices.IndexFunc(r.Actions, func(a doctor.Action) bool { return a.ID == "net.core.somaxconn" })
		if i < 0 || r.Actions[i].Did == "" || !strings.Contains(r.Actions[i].Operator, "/etc/sysctl.d/") {
			t.Errorf("actions %+v", r.Actions)
		}
	})
}

// newGroup makes a control group inside our own, so that a child in it stays
// under every limit that we are under, with the first of the files it has set.
func newGroup(t *testing.T, controller, value string, files ...string) string {
	t.Helper()
	script := `awk -F: -v c="$0" '$2==c||index(","$2",",","c","){print $3; f=1} END{if(!f) print "-"}' /proc/self/cgroup`
	out, err := exec.Command("sh", "-c", script, controller).Output()
	if err != nil {
		lacking(t, "control groups: %v", err)
	}
	top, inside := filepath.Join("/sys/fs/cgroup", controller), strings.TrimSpace(string(out))
	if inside == "-" { // version 2: only its own top can pass controllers on to a new group
		top, inside = "/sys/fs/cgroup", ""
	}
	dir, err := os.MkdirTemp(filepath.Join(top, inside), "edgeloop-doctor-test-")
	if err != nil {
		lacking(t, "no control group can be made: %v", err)
	}
	t.Cleanup(func() {
		if err := os.Remove(dir); err != nil {
			t.Errorf("control group left behind: %v", err)
		}
	})
	for _, file := range files {
		if err = os.WriteFile(filepath.Join(dir, file), []byte(value), 0o600); err == nil {
			return dir
		}
	}
	lacking(t, "controller %s cannot be limited here: %v", controller, err)
	return ""
}

func TestMachine_LoweredMemory(t *testing.T) {
	const limit = 512 << 20
	dir := newGroup(t, "memory", fmt.Sprint(limit), "memory.max", "memory.limit_in_bytes")
	r := under(t, 100_000, nil, `echo $$ > `+dir+`/cgroup.procs; exec "$0"`)
	c := find(t, r, "cgroup_memory")
	most := int64(limit-(320<<20)) / r.Costs.MemoryPerDeviceSum
	if c.Value != "512 MiB" || c.Verdict != doctor.Limits || *c.Devices > most || *c.Devices < most-10_000 {
		t.Errorf("%+v, want a little under %d devices", c, most)
	}
	if !strings.Contains(c.Note, filepath.Base(dir)) || !strings.Contains(c.Fix.Now, dir) {
		t.Errorf("note %q, fix %+v: want the group %s named", c.Note, c.Fix, dir)
	}
}

func TestMachine_LoweredPids(t *testing.T) {
	dir := newGroup(t, "pids", "30", "pids.max")
	r := under(t, 1000, nil, `echo $$ > `+dir+`/cgroup.procs; exec "$0"`)
	c := find(t, r, "cgroup_pids")
	if c.Value != "30" || c.Verdict != doctor.Limits || *c.Devices != 0 || *r.Devices != 0 || r.First.ID != "cgroup_pids" {
		t.Errorf("%+v, first %+v", c, r.First)
	}
}

func TestMachine_Syncs(t *testing.T) {
	dir := t.TempDir()
	root := doctor.Machine()
	took, err := root.Sync(filepath.Join(dir, "not", "yet"), 8, 1<<40)
	if err != nil || len(took) != 8 || slices.Min(took) <= 0 {
		t.Errorf("syncs %v, error %v", took, err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, error %v", left, err)
	}
	if took, _ = root.Sync(dir, 1<<30, 1); len(took) > 1 {
		t.Errorf("%d syncs after the time was over", len(took))
	}
}
