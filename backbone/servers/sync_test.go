package servers_test

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"edgeloop/backbone/servers"
)

// What the answers, the replicas and the stream's own settings make of it.
func TestSync_Judged(t *testing.T) {
	for _, c := range []struct {
		stream jetstream.StreamConfig
		always []bool
		want   servers.Sync
	}{
		{jetstream.StreamConfig{Replicas: 1}, nil, servers.SyncUnknown},
		{jetstream.StreamConfig{Replicas: 3}, nil, servers.SyncReplicated},
		{jetstream.StreamConfig{Replicas: 3}, []bool{true, false, true}, servers.SyncReplicated},
		{jetstream.StreamConfig{Replicas: 1}, []bool{true, false, true}, servers.Unsynced},
		{jetstream.StreamConfig{Replicas: 3}, []bool{true, true, true}, servers.Synced},
		{jetstream.StreamConfig{Replicas: 3, PersistMode: jetstream.AsyncPersistMode}, []bool{true}, servers.Unsynced},
		{jetstream.StreamConfig{Replicas: 1, Storage: jetstream.MemoryStorage}, []bool{true}, servers.Unsynced},
	} {
		if got := servers.JudgeSync(&c.stream, c.always); got != c.want {
			t.Errorf("%d replicas, answers %v: %s, want %s", c.stream.Replicas, c.always, got, c.want)
		}
	}
	for version, want := range map[string]bool{"2.14.9": true, "2.15.0": false, "3.0.1": false, "1.9.9": true, "": false, "dev": false} {
		if servers.Older(version, 2, 15) != want {
			t.Errorf("%q before 2.15: not %v", version, want)
		}
	}
}
