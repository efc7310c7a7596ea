package main

import (
	"context"
	"errors"
	"slices"
	"testing"

	"edgeloop/admin/grpcapi"
	"edgeloop/internal/testkit"
)

// A device that goes while the watcher is told who is connected is told of behind that: the
// last word is the true one. A watcher that takes no more ends, and nobody keeps it.
func TestPresenceHub_MissesNothing(t *testing.T) {
	h := newPresenceHub()
	var said []string
	full := errors.New("full")
	w := grpcapi.Watch{
		Known: func(_ context.Context, s grpcapi.State) error {
			said = append(said, "known "+s.Device)
			return nil
		},
		Current: func() { said = append(said, "current") },
		Changed: func(s grpcapi.State) error {
			if s.Device == "d3" {
				return full
			}
			said = append(said, "gone "+s.Device)
			return nil
		},
	}
	ended := make(chan error, 1)
	listed := make(chan struct{}, 1)
	go func() {
		ended <- h.watch(context.Background(), w, func(fn func(grpcapi.State) error) error {
			err := fn(grpcapi.State{Device: "d1", Epoch: 1, Online: true})
			h.tell(grpcapi.State{Device: "d1", Epoch: 1})
			listed <- struct{}{}
			return errors.Join(err, fn(grpcapi.State{Device: "d2", Epoch: 1, Online: true}))
		})
	}()
	testkit.Receive(t, patience, "the list", listed)
	h.tell(grpcapi.State{Device: "d2", Epoch: 1})
	h.tell(grpcapi.State{Device: "d3", Epoch: 1})
	if err := testkit.Receive(t, patience, "the end of the watch", ended); !errors.Is(err, full) {
		t.Errorf("ended with %v", err)
	}
	if want := []string{"known d1", "known d2", "current", "gone d1", "gone d2"}; !slices.Equal(said, want) {
		t.Errorf("it was told %q, want %q", said, want)
	}
	if len(h.watchers) != 0 {
		t.Error("the hub keeps a watcher that has ended")
	}
}
