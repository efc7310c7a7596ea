package e2e_test

import (
	"strings"
	"testing"
)

// The oldest records are removed from a node that runs, and the audit says so; a node that is
// killed then finds no damage, and the devices are where they were.
func TestLogTrim(t *testing.T) {
	t.Parallel()
	n := start(t, "--auth=none")
	telemetry(t, n, 20)
	_, said, _ := runTool(t, "log", "export", "--data-dir", n.dir)
	log, _, _ := strings.Cut(said[strings.LastIndex(said, "=")+1:], "-")
	trim := func(flags ...string) (out, errs string, code int) {
		return runTool(t, append([]string{"log", "trim", "--data-dir", n.dir}, flags...)...)
	}
	if _, errs, code := trim("--to=" + log + "-25"); code != 1 || !containsAll(errs, "forget_devices", "1 devices") {
		t.Errorf("over a device: code %d, %s", code, errs)
	}
	if out, errs, code := trim("--to=" + log + "-15"); code != 0 || !containsAll(out, "15 records", "begins at "+log+"-16") {
		t.Fatalf("code %d: %s%s", code, out, errs)
	}
	for _, bad := range [][]string{{}, {"--to=x"}, {"--before=soon"}, {"--to=1", "--before=1h"}} {
		if _, errs, code := trim(bad...); code != 2 {
			t.Errorf("%s: code %d, %s", bad, code, errs)
		}
	}
	n.logged(`"change": "trim log"`, `"records": 15`)
	n.kill()
	if out, _, _ := runTool(t, "log", "export", "--data-dir", n.dir); strings.Count(out, "\n") != 25 {
		t.Errorf("in the files are\n%s", out)
	}
	n.boot() // ready: it is no damage
	if out, _, code := runTool(t, "log", "verify", "--data-dir", n.dir); code != 0 || !strings.Contains(out, "sound") {
		t.Errorf("verify: code %d, %s", code, out)
	}
	if out, _, _ := runTool(t, "log", "export", "--data-dir", n.dir); strings.Count(out, "\n") != 25 {
		t.Errorf("left are\n%s", out)
	}
	if out := n.tool("devices"); !containsAll(out, "d1", "d2") {
		t.Errorf("devices: %s", out)
	}
	n.stop()
}
