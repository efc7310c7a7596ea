package e2e_test

import (
	"fmt"
	"net/http"
	"slices"
	"syscall"
	"testing"
	"time"

	"edgeloop/internal/testkit"
)

// The log is full and told not to forget. Devices are held back, not
// disconnected and not lied to; with more room, everything goes on from the
// last acknowledged message.
func TestFull_HoldsDevicesBackAndResumes(t *testing.T) {
	t.Parallel()
	const devices, messages = 4, 1500 // of 4 KiB: more than the log may hold
	n := start(t, "--log-max-bytes=16MiB", "--when-full=stop", "--drain-window=1s", "--auth=none")
	f := launch(t, n, devices, messages, func(s *streamer) { s.size = 4 << 10 })
	testkit.Eventually(t, patience, "the log to be full", func() bool {
		status, body := n.api(http.MethodGet, "/readyz", nil)
		return status == http.StatusServiceUnavailable && containsAll(fmt.Sprint(body["reasons"]), "log_stalled", "full")
	})
	sum, full := f.acked()
	if sum == 0 || sum >= devices*messages {
		t.Fatalf("%d of %d messages are acknowledged with a full log", sum, devices*messages)
	}
	checkLog(t, n, full)

	// What waits for the log cannot get there any more, and the node says so.
	n.signal(syscall.SIGTERM)
	if code := n.wait(); code != 1 || !containsAll(n.log.String(), "devices will send it again") {
		t.Errorf("exit code %d with a full log, want 1 and the reason", code)
	}

	n.flags[slices.Index(n.flags, "--log-max-bytes=16MiB")] = "--log-max-bytes=none"
	n.boot()
	f.waitAcked(3*patience, devices*messages)
	_, all := f.acked()
	if records := checkLog(t, n, all); records != devices*messages {
		t.Errorf("the log has %d records, %d were sent", records, devices*messages)
	}
	n.stop()
}

// The log is nearly full and told not to forget: the node is ready, and says beforehand
// that it soon will not be, with what is left.
func TestFull_SaysSoBefore(t *testing.T) {
	t.Parallel()
	const devices, messages = 4, 950 // of 4 KiB: some 97 in 100 of what the log may hold
	n := start(t, "--log-max-bytes=16MiB", "--when-full=stop", "--auth=none")
	launch(t, n, devices, messages, func(s *streamer) { s.size = 4 << 10 }).waitAcked(3*patience, devices*messages)
	testkit.Eventually(t, patience, "the node to say that its log fills", func() bool {
		status, body := n.api(http.MethodGet, "/readyz", nil)
		return status == http.StatusOK && containsAll(fmt.Sprint(body["warnings"]), "log_filling", "more bytes")
	})
	var usage map[string]any // of a tick after the last record
	testkit.Eventually(t, patience, "the node to count all records", func() bool {
		_, node := n.api(http.MethodGet, "/v1/node", nil)
		usage, _ = node["log"].(map[string]any)["usage"].(map[string]any)
		return usage["records"] == float64(devices*messages)
	})
	oldest, err := time.Parse(time.RFC3339, fmt.Sprint(usage["oldest"]))
	if usage["at_full"] != "stops" || err != nil || time.Since(oldest) > 10*patience || usage["disk_free_bytes"] == nil {
		t.Errorf("/v1/node says of its log %v", usage)
	}
	if used, room := usage["bytes"].(float64), usage["room_bytes"].(float64); used+room != 16<<20 {
		t.Errorf("the log has %v bytes and room for %v", used, room)
	}
	_, metrics := n.apiRaw(http.MethodGet, "/metrics", nil)
	if !containsAll(string(metrics), "edgeloop_backbone_log_filling 1", "edgeloop_backbone_log_bytes ", "edgeloop_backbone_disk_free_bytes ", "edgeloop_backbone_log_oldest_timestamp_seconds ") {
		t.Error("/metrics does not say so")
	}
	n.logged("the log fills")
	n.stop()
}

// The log is full and told to forget the oldest: new messages are taken, what is
// left is in order and unbroken.
func TestFull_ForgetsTheOldest(t *testing.T) {
	t.Parallel()
	const devices, messages = 4, 1500 // of 4 KiB: more than the log may hold
	n := start(t, "--log-max-bytes=16MiB", "--when-full=drop-oldest", "--auth=none")
	f := launch(t, n, devices, messages, func(s *streamer) { s.size = 4 << 10 })
	f.waitAcked(3*patience, devices*messages)
	log := n.tail()
	if len(log) == 0 || len(log) >= devices*messages {
		t.Errorf("%d of %d records are left", len(log), devices*messages)
	}
	last := map[string]uint64{}
	for _, r := range log {
		if last[r.Device] != 0 && r.Seq != last[r.Device]+1 {
			t.Errorf("%s has sequence %d after %d", r.Device, r.Seq, last[r.Device])
		}
		last[r.Device] = r.Seq
	}
	for name, seq := range last { // who was done long ago may be forgotten altogether
		if seq != messages {
			t.Errorf("%s ends at %d", name, seq)
		}
	}
	n.stop()
}
