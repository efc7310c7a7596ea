package servers_test

import (
	"path/filepath"
	"testing"

	"edgeloop/backbone/servers"
)

// A directory that was closed is free at once, whatever this process forks meanwhile:
// a child holds its parent's locks until its program begins.
func TestClose_LeavesNoLockToAChild(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	takeAndLeave(t, data)
	lock, err := servers.LockDirs(data, filepath.Join(data, "nats"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := lock.Inherit()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	takeAndLeave(t, data)
}

func takeAndLeave(t *testing.T, data string) {
	t.Helper()
	s, err := servers.New(servers.Config{DataDir: data, Node: "one"})
	if err != nil {
		t.Error(err)
	}
	s.Stop()
	if err := s.Unlock(); err != nil {
		t.Error(err)
	}
}
