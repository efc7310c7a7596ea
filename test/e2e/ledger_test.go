package e2e_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"

	"edgeloop/internal/testkit"
)

// checkLog reads the whole log through `edgeloop tail` and insists that each
// device's sequences are 1, 2, 3 ... in the order of the log, each once, at
// least up to what was acknowledged. It returns the number of records.
func checkLog(t *testing.T, n *node, acked map[string]uint64) (records int) {
	t.Helper()
	testkit.Eventually(t, 3*patience, "the node to be less busy", func() (served bool) {
		records, served = lookAtLog(t, n, acked)
		return served
	})
	return records
}

// lookAtLog is checkLog, unless the node spares itself what reads the log.
func lookAtLog(t *testing.T, n *node, acked map[string]uint64) (records int, served bool) {
	t.Helper()
	cmd := exec.Command(nodeBinary, "tail", "--data-dir", n.dir, "--admin-url", "http://"+n.admin, "--since", "all", "--no-follow")
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	last, faults := map[string]uint64{}, 0
	lines := bufio.NewReaderSize(out, 1<<20)
	for dec := json.NewDecoder(lines); ; records++ {
		var r record
		if err := dec.Decode(&r); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("record %d: %v", records, err)
		}
		if r.Seq != last[r.Device]+1 && faults < 10 {
			faults++
			t.Errorf("record %d: %s has sequence %d after %d", records, r.Device, r.Seq, last[r.Device])
		}
		last[r.Device] = r.Seq
	}
	if err := cmd.Wait(); err != nil && records == 0 && spared(errs.String()) {
		return 0, false
	} else if err != nil {
		t.Fatalf("edgeloop tail: %v: %s", err, &errs)
	}
	for device, seq := range acked {
		if last[device] < seq {
			t.Errorf("%s: %d was acknowledged, the log ends at %d", device, seq, last[device])
		}
	}
	return records, true
}
