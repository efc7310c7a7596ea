package e2e_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"edgeloop/internal/testkit"
)

// receiver is a process that webhooks are sent to: py/receiver.py.
type receiver struct {
	t          *testing.T
	addr, file string
	cmd        *exec.Cmd
	got        *arrivals
}

const hookSecret = "e2e-secret-of-the-webhook"

func startReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{t: t, addr: freeAddr(t), file: filepath.Join(t.TempDir(), "received"), got: newArrivals(t)}
	t.Cleanup(r.kill)
	r.boot()
	return r
}

func (r *receiver) boot() {
	r.t.Helper()
	r.cmd = exec.Command(python, "py/receiver.py", r.addr, r.file, hookSecret)
	r.cmd.Stderr = os.Stderr
	if err := r.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	waitListening(r.t, r.addr)
}

func (r *receiver) kill() {
	if r.cmd == nil {
		return
	}
	_ = r.cmd.Process.Kill()
	_ = r.cmd.Wait()
	r.cmd = nil
}

// sent is a record as it arrives at a destination.
type sent struct {
	record
	Position string
}

// arrivals is what has come at a destination.
type arrivals struct {
	t     *testing.T
	last  map[string]uint64 // sequences, by device
	at    map[string]string // positions, by device and sequence
	twice int
	read  int64 // bytes of the file
}

func newArrivals(t *testing.T) *arrivals {
	return &arrivals{t: t, last: map[string]uint64{}, at: map[string]string{}}
}

// add takes lines of records, and insists on the promises: each device's sequences come in order
// without a hole, and what comes twice has the position of the first time.
func (a *arrivals) add(text []byte) {
	a.t.Helper()
	for line := range bytes.Lines(text) {
		var r sent
		if err := json.Unmarshal(line, &r); err != nil {
			a.t.Fatalf("%q: %v", line, err)
		}
		key := fmt.Sprintf("%s %d", r.Device, r.Seq)
		before, again := a.at[key]
		switch {
		case again && before != r.Position:
			a.t.Errorf("%s came at %s and at %s", key, before, r.Position)
		case again:
			a.twice++
		case r.Seq != a.last[r.Device]+1:
			a.t.Errorf("%s: %d came after %d", r.Device, r.Seq, a.last[r.Device])
		}
		a.at[key], a.last[r.Device] = r.Position, max(a.last[r.Device], r.Seq)
	}
}

// follow takes the whole lines that a file has got since the last time, and each once: who waits
// asks often.
func (a *arrivals) follow(file string) {
	a.t.Helper()
	f, err := os.Open(file)
	if err != nil {
		a.t.Fatal(err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.NewSectionReader(f, a.read, 1<<40))
	if err != nil {
		a.t.Fatal(err)
	}
	text = text[:bytes.LastIndexByte(text, '\n')+1]
	a.read += int64(len(text))
	a.add(text)
}

// have says whether all that was acknowledged has arrived.
func (a *arrivals) have(acked map[string]uint64) bool {
	for device, seq := range acked {
		if a.last[device] < seq {
			return false
		}
	}
	return true
}

// has says what the receiver has got.
func (r *receiver) has() *arrivals {
	r.t.Helper()
	r.got.follow(r.file)
	return r.got
}

// waitHas waits until all that was acknowledged has arrived.
func (r *receiver) waitHas(acked map[string]uint64) {
	r.t.Helper()
	testkit.Eventually(r.t, 2*patience, "all that was acknowledged to arrive", func() bool { return r.has().have(acked) })
}

// withSinks writes a configuration file with sinks, and says how to use it.
func withSinks(t *testing.T, yaml string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "edgeloop.yaml")
	if err := os.WriteFile(path, []byte("sinks:\n"+yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	return "--config=" + path
}

// hookTo is the configuration of a sink to a receiver.
func (r *receiver) hookTo() string {
	return `
  - name: hook
    type: webhook
    url: http://` + r.addr + `/in
    secret_env: HOOK_SECRET
    gzip: true
    batch: {records: 150, wait: 20ms}
    retry: {least: 10ms, most: 200ms}
`
}

// Devices stream while their receiver is down for a while and the node is killed twice, once
// with the receiver down: all that was acknowledged arrives, in each device's order, and what
// comes twice can be told by its position. Another sink, to files, has the same.
func TestSinks_ArriveInOrderWhateverIsDown(t *testing.T) {
	t.Parallel()
	const devices, messages = 20, 200
	r, dir := startReceiver(t), t.TempDir()
	n := prepare(t, "--auth=none", withSinks(t, r.hookTo()+`
  - {name: files, type: file, dir: `+dir+`, max_size: 100KiB, min_free: 0, batch: {wait: 20ms}}
`))
	n.env = []string{"HOOK_SECRET=" + hookSecret}
	n.boot()
	f := launch(t, n, devices, messages, nil)
	f.waitAcked(patience, devices*messages/5)
	r.kill()
	f.waitAcked(patience, 2*devices*messages/5) // devices do not notice
	n.kill()
	n.boot()
	r.boot()
	f.waitAcked(patience, 4*devices*messages/5)
	n.kill()
	n.boot()
	f.waitAcked(2*patience, devices*messages)
	_, acked := f.acked()
	r.waitHas(acked)
	n.wantMetric("edgeloop_sink_lag_records", `sink="files"`, 0)
	n.stop() // with all files at rest
	checkFiles(t, dir, acked)
}

// checkFiles reads what a sink wrote to files, and insists on the promises.
func checkFiles(t *testing.T, dir string, acked map[string]uint64) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "records-*.ndjson"))
	if err != nil || len(names) < 2 {
		t.Fatalf("files %v, %v: want several, with their last name", names, err)
	}
	text := map[uint64]string{}
	for _, name := range append(names, filepath.Join(dir, "records.part")) {
		b, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) { // records.part is made with its first record
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		var first sent
		line, _, _ := strings.Cut(string(b), "\n")
		if err := json.Unmarshal([]byte(line), &first); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var position uint64
		if _, err := fmt.Sscanf(first.Position[strings.LastIndexByte(first.Position, '-')+1:], "%d", &position); err != nil {
			t.Fatal(err)
		}
		text[position] += string(b)
	}
	var all strings.Builder
	for len(text) > 0 {
		lowest := ^uint64(0)
		for position := range text {
			lowest = min(lowest, position)
		}
		all.WriteString(text[lowest])
		delete(text, lowest)
	}
	got := newArrivals(t)
	got.add([]byte(all.String()))
	if !got.have(acked) {
		t.Errorf("the files end at %v, %v was acknowledged", got.last, acked)
	}
}

// One record that its receiver never takes does not hold up those behind it, nor does it
// take others with it.
func TestSinks_OneRefusedRecord(t *testing.T) {
	t.Parallel()
	r := startReceiver(t)
	n := prepare(t, "--auth=none", withSinks(t, r.hookTo()))
	n.env = []string{"HOOK_SECRET=" + hookSecret}
	n.boot()
	f := launch(t, n, 5, 100, nil)
	d := upgradeRaw(t, n, "?device=poisoner", "")
	d.say(frame(fin|opText, `{"type":"telemetry","seq":1,"topic":"poison","data":1}`))
	d.wantText("ack")
	f.waitAcked(patience, 5*100)
	_, acked := f.acked()
	r.waitHas(acked)
	if r.has().last["poisoner"] != 0 {
		t.Error("the receiver has the record that it refused")
	}
	d.Close() // it would not answer the node's farewell
	n.stop()
}
