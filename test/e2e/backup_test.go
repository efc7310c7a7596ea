package e2e_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A node is backed up while devices send, is killed, and its data directory is lost. What the
// backup made of it has everything acknowledged before, and bans; a device is told how far
// the new log has come, and one that goes on far above that is heard.
func TestBackup_NodeLost(t *testing.T) {
	t.Parallel()
	n := start(t, "--auth=none")
	telemetry(t, n, 20)
	n.tool("ban", "--device", "stolen", "--reason", "stolen")
	before, _, _ := runTool(t, "log", "export", "--data-dir", n.dir)
	f := launch(t, n, 5, 1<<40, nil)
	f.waitAcked(patience, 50)
	file := filepath.Join(t.TempDir(), "backup.tar")
	trap := file + ".of-others" // who may write beside the backup gets nothing of it
	if err := errors.Join(os.WriteFile(trap, nil, 0o600), os.Link(trap, file+".part"), os.Chmod(trap, 0o666)); err != nil {
		t.Fatal(err)
	}
	backup := func() (out, errs string, code int) {
		return runTool(t, "log", "backup", "--data-dir", n.dir, "--admin-url", "http://"+n.admin, file)
	}
	if out, errs, code := backup(); code != 0 || !containsAll(out, "backup of log", "checked") {
		t.Fatalf("code %d: %s%s", code, out, errs)
	}
	if info, err := os.Stat(file); err != nil || info.Mode() != 0o600 {
		t.Errorf("the backup is %v, %v", info.Mode(), err)
	}
	if is, err := os.ReadFile(trap); err != nil || len(is) > 0 {
		t.Errorf("others have %d bytes of the backup, %v", len(is), err)
	}
	acked, _ := f.acked()
	f.waitAcked(patience, acked+50) // what came later is lost
	f.cancel()
	f.wg.Wait()
	if _, errs, code := backup(); code != 2 || !strings.Contains(errs, "is there already") {
		t.Errorf("over a file: code %d, %s", code, errs)
	}
	n.logged(`"change": "backup"`)
	if out, _, code := runTool(t, "log", "verify", "--backup", file); code != 0 || !strings.Contains(out, "checked") {
		t.Errorf("verify: code %d, %s", code, out)
	}
	if _, errs, code := runTool(t, "log", "restore", "--data-dir", n.dir, file); code != 1 || !strings.Contains(errs, "not empty") {
		t.Errorf("over a node's directory: code %d, %s", code, errs)
	}
	n.kill()
	if err := os.RemoveAll(n.dir); err != nil {
		t.Fatal(err)
	}
	if out, errs, code := runTool(t, "log", "restore", "--data-dir", n.dir, file); code != 0 || !containsAll(out, "restored log", "acknowledged up to position") {
		t.Fatalf("code %d: %s%s", code, out, errs)
	}
	n.boot() // ready: there is no damage
	after, _, _ := runTool(t, "log", "export", "--data-dir", n.dir)
	if !strings.HasPrefix(after, before) {
		t.Errorf("what was acknowledged before is not there: %d bytes, then %d", len(before), len(after))
	}
	if out := n.tool("bans"); !strings.Contains(out, "stolen") {
		t.Errorf("bans: %s", out)
	}
	d := upgradeRaw(t, n, "?device=d1", "")
	d.say(frame(fin|opText, `{"type":"telemetry","seq":20,"data":20}`)) // again: the log has it
	d.wantText("ack")
	d.say(frame(fin|opText, `{"type":"telemetry","seq":500,"data":1}`))
	if ack := d.wantText("ack"); !strings.Contains(ack, `"upto":500`) {
		t.Errorf("the device is told %s", ack)
	}
	of, _, _ := runTool(t, "log", "export", "--data-dir", n.dir, "--device", "d1")
	if lines := strings.Count(of, "\n"); lines != 21 {
		t.Errorf("%d records of a device that sent 20, one of them twice, and one", lines)
	}
	n.stop()
}
