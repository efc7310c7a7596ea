package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A node starts on the data directory of the last released format, made by that version: ready,
// without damage. Every record is there as that version gave it, bans hold, a device goes on
// where it was, also over the next start, and what was one log then is one with a mark now.
// testdata/data-2026-11-21.tar.gz has the directory, and records.jsonl as that version's tail
// printed it.
func TestUpgrade_FromTheLastFormat(t *testing.T) {
	t.Parallel()
	n := prepare(t, "--auth=none")
	if err := os.MkdirAll(n.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("tar", "-xzf", "testdata/data-2026-11-21.tar.gz", "-C", n.dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want, err := os.ReadFile(filepath.Join(n.dir, "records.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	n.boot()
	export := func() string {
		t.Helper()
		out, errs, code := runTool(t, "log", "export", "--data-dir", n.dir)
		if code != 0 {
			t.Fatalf("code %d: %s", code, errs)
		}
		return out
	}
	if got := export(); got != string(want) || strings.Count(got, "\n") != 42 {
		t.Errorf("the log is\n%s\nand was\n%s", got, want)
	}
	if out := n.tool("bans"); !strings.Contains(out, "stolen") {
		t.Errorf("bans: %s", out)
	}
	d := upgradeRaw(t, n, "?device=d1", "")
	d.say(frame(fin|opText, `{"type":"telemetry","seq":20,"data":"again"}`))
	d.wantText("ack")
	d.say(frame(fin|opText, `{"type":"telemetry","seq":21,"data":"new"}`))
	if ack := d.wantText("ack"); !strings.Contains(ack, `"upto":21`) {
		t.Errorf("the node said %s", ack)
	}
	n.stop()
	n.boot()
	if got, is := strings.CutPrefix(export(), string(want)); !is || strings.Count(got, "\n") != 1 || !strings.Contains(got, `"data":"new"`) {
		t.Errorf("behind what there was is %s", got)
	}
	if out, _, code := runTool(t, "log", "verify", "--data-dir", n.dir); code != 0 || !strings.Contains(out, "sound") {
		t.Errorf("verify: code %d, %s", code, out)
	}
	n.stop()
}
