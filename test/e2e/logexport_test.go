package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// telemetry has two devices send count messages each, in turn, all acknowledged.
func telemetry(t *testing.T, n *node, count int) {
	t.Helper()
	for _, name := range []string{"d1", "d2"} {
		d := upgradeRaw(t, n, "?device="+name, "")
		for seq := 1; seq <= count; seq++ {
			d.say(frame(fin|opText, fmt.Sprintf(`{"type":"telemetry","seq":%d,"data":%d}`, seq, seq)))
			d.wantText("ack")
		}
	}
}

// An export has every record of the log once, in order, from a node that runs, from the files
// of one that has stopped, and of one that was killed: the same bytes. A part is what was asked
// for, and the position that one export names is where the next goes on. What cannot be read
// is said, and costs the exit code.
func TestLogExport(t *testing.T) {
	t.Parallel()
	n := start(t, "--auth=none")
	telemetry(t, n, 20)
	export := func(flags ...string) (lines []string, said string, code int) {
		t.Helper()
		out, errs, code := runTool(t, append([]string{"log", "export", "--data-dir", n.dir}, flags...)...)
		return strings.Split(strings.TrimSuffix(out, "\n"), "\n"), errs, code
	}
	running, said, code := export()
	if code != 0 || len(running) != 40 || !strings.Contains(running[0], `"device":"d1"`) || !strings.Contains(running[39], `"seq":20`) {
		t.Fatalf("code %d, %d lines: %s", code, len(running), said)
	}
	log, _, _ := strings.Cut(said[strings.LastIndex(said, "=")+1:], "-")
	parts := func(how string) {
		t.Helper()
		all, said, code := export()
		if code != 0 || strings.Join(all, "\n") != strings.Join(running, "\n") || !strings.Contains(said, "40 records, to position "+log+"-40;") {
			t.Errorf("%s: code %d, %d lines, %s", how, code, len(all), said)
		}
		one, said, _ := export("--to=" + log + "-7")
		two, _, _ := export("--after=" + strings.TrimSpace(said[strings.LastIndex(said, "=")+1:]))
		if len(one) != 7 || strings.Join(slices.Concat(one, two), "\n") != strings.Join(running, "\n") {
			t.Errorf("%s: in two parts %d and %d lines: %s", how, len(one), len(two), said)
		}
		if of, _, _ := export("--device=d2", "--tenant=default"); len(of) != 20 || of[0] != running[20] {
			t.Errorf("%s: %d lines of d2", how, len(of))
		}
		if none, said, _ := export("--until=1h"); none[0] != "" {
			t.Errorf("%s: before an hour ago: %s%s", how, none, said)
		}
		if late, _, _ := export("--since=1h"); len(late) != 40 {
			t.Errorf("%s: of the last hour: %d", how, len(late))
		}
		if _, said, code := export("--after=other-3"); code != 1 || !containsAll(said, "log other", "log "+log) {
			t.Errorf("%s: behind a position of another log: code %d, %s", how, code, said)
		}
	}
	parts("running")
	n.stop()
	parts("stopped")
	n.boot()
	n.kill()
	parts("killed")
	if _, said, code := export("--after=nowhere"); code != 2 {
		t.Errorf("code %d, %s", code, said)
	}
	block := filepath.Join(n.dir, "nats/jetstream/$G/streams/EDGELOOP_UP/msgs/1.blk")
	b, err := os.ReadFile(block)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(block, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if left, said, code := export(); code != 1 || len(left) != 39 || !strings.Contains(said, "damaged") {
		t.Errorf("damaged: code %d, %d lines, %s", code, len(left), said)
	}
}
