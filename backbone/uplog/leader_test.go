package uplog_test

import (
	"testing"

	"edgeloop/backbone"
	"edgeloop/backbone/backbonetest"
	"edgeloop/backbone/uplog"
)

// Where the log has replicas its leader is asked for the last record of a device: a
// follower may not have it yet. To ask the log for its state does not change that.
func TestLog_TheLeaderStaysAsked(t *testing.T) {
	b := backbonetest.Open(t, backbone.Config{DataDir: t.TempDir()})
	uplog.Replicated(b.Log)
	if err := uplog.AskState(t.Context(), b.Log); err != nil {
		t.Fatal(err)
	}
	if !uplog.AsksTheLeader(b.Log) {
		t.Error("followers are asked from now on")
	}
}
