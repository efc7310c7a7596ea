package mqttapi

import (
	"testing"
	"testing/synctest"
)

// Whoever waits for room looks when there is some, also where another cannot use it, because its packet
// identifier is taken.
func TestWindow_RoomForWhoeverFits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(2)
		taken, err := w.addRetained(t.Context())
		if err != nil || w.add(t.Context(), 5) != nil {
			t.Fatal(err)
		}
		same := 65_535 + uint64(taken) - 1
		record, retained := make(chan error, 1), make(chan error, 1)
		go func() { record <- w.add(t.Context(), same) }()
		synctest.Wait() // it is the first
		go func() { retained <- w.awaitRoom(t.Context()) }()
		state := func(records, messages int) {
			t.Helper()
			synctest.Wait()
			if len(record) != records || len(retained) != messages {
				t.Fatalf("%d records got room, want %d, and %d retained messages, want %d", len(record), records, len(retained), messages)
			}
		}
		state(0, 0)
		w.acknowledge(packetID(5))
		state(0, 1)
		w.acknowledge(taken)
		state(1, 1)
	})
}

// An acknowledgement, which comes on the loop, costs no allocation.
func TestAllocs_WindowAcknowledge(t *testing.T) {
	w, position := newWindow(1), uint64(0)
	allocs := testing.AllocsPerRun(100, func() {
		position++
		if err := w.add(t.Context(), position); err != nil {
			t.Fatal(err)
		}
		w.acknowledge(packetID(position))
		if !w.share(position, nil) {
			t.Fatal("there is no room")
		}
		w.acknowledge(packetID(position))
	})
	if allocs > 0 {
		t.Errorf("%v allocations each", allocs)
	}
}
