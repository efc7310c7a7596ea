package custody

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"edgeloop/backbone/blocks"
	"edgeloop/backbone/natstest"
)

// aLog is a log of n records as the store left it, and its keeper's options.
func aLog(t *testing.T, n int) Options {
	t.Helper()
	dir := t.TempDir()
	natstest.WithStream(t, dir, "LOG", func(_ jetstream.Stream, js jetstream.JetStream) {
		for range n {
			if _, err := js.Publish(t.Context(), "up.default.d", []byte(`{"some":"data"}`)); err != nil {
				t.Fatal(err)
			}
		}
	})
	return Options{Dir: dir, Streams: filepath.Join(dir, "jetstream", "$G", "streams"), Log: "LOG", Logger: zap.NewNop()}
}

// opened is a keeper of that log, of which the store says that it is whole.
func opened(t *testing.T, o Options, n uint64) (*Keeper, State) {
	t.Helper()
	k, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	s := State{First: 1, Last: n, Msgs: n}
	if s.Identity, err = k.Opened(s, nothing); err != nil {
		t.Fatal(err)
	}
	k.setOpened()
	return k, s
}

func nothing() ([]uint64, error) { return nil, nil }

// A bit that flips while the node runs is found when the patrol comes by, once, with a
// copy, and stays found until somebody decides.
func TestPatrol_FindsAFlippedBit(t *testing.T) {
	o := aLog(t, 20)
	k, _ := opened(t, o, 20)
	if !k.Round(t.Context(), 0) || k.Undecided() != nil {
		t.Fatalf("a sound log: %v", k.Undecided())
	}
	path := blocks.Path(k.msgs(), 1)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	var found *Error
	for range 3 {
		k.Round(t.Context(), 0)
		if err := k.Undecided(); !errors.As(err, &found) || len(found.Damages) != 1 || found.Damages[0].Kind != Unreadable || found.Damages[0].Records != 1 {
			t.Fatalf("found %v", err)
		}
	}
	if b, err := os.ReadFile(filepath.Join(found.Copies[0], "LOG-1.blk")); err != nil || len(b) == 0 {
		t.Errorf("the copy: %d bytes, %v", len(b), err)
	}
	if s := k.Stats(); s.Found[Unreadable] != 1 || s.Undecided != 1 || s.Read == 0 {
		t.Errorf("stats %+v", s)
	}
	if n, err := Accept(o.Dir); n != 1 || err != nil {
		t.Errorf("Accept: %d, %v", n, err)
	}
	k.reread()
	if err := k.Undecided(); err != nil {
		t.Errorf("decided, and still %v", err)
	}
	if err := k.Close(true); err != nil {
		t.Fatal(err)
	}
}

// What the store counts is held against what is known: records that it has dropped,
// an end that fell back, a block that is gone, another log.
func TestKeeper_Compare(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(k *Keeper, s *State)
		kind   Kind
		lost   uint64
	}{
		"records dropped":  {func(_ *Keeper, s *State) { s.Msgs -= 2 }, Miscounted, 2},
		"a shorter log":    {func(_ *Keeper, s *State) { s.Last, s.Msgs = 15, 15 }, Short, 5},
		"another identity": {func(_ *Keeper, s *State) { s.Identity = "anothero" }, OtherLog, 0},
		"a block gone":     {func(k *Keeper, _ *State) { _ = os.Remove(blocks.Path(k.msgs(), 1)) }, Missing, 20},
	} {
		t.Run(name, func(t *testing.T) {
			k, s := opened(t, aLog(t, 20), 20)
			if err := k.Compare(s, 20, nothing, true); err != nil || k.Undecided() != nil {
				t.Fatalf("a sound log: %v, %v", err, k.Undecided())
			}
			tt.change(k, &s)
			var found *Error
			for range 2 {
				if err := k.Compare(s, 20, func() ([]uint64, error) { return []uint64{7, 8}, nil }, true); err != nil {
					t.Fatal(err)
				}
				if err := k.Undecided(); !errors.As(err, &found) || len(found.Damages) != 1 || found.Damages[0].Kind != tt.kind || found.Damages[0].Records != tt.lost {
					t.Fatalf("found %v, want %s of %d", err, tt.kind, tt.lost)
				}
			}
		})
	}
}

// The patrol rests so many times as long as it works.
func TestPatrol_Rests(t *testing.T) {
	o := aLog(t, 5)
	k, _ := opened(t, o, 5)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); k.Patrol(ctx) }()
		time.Sleep(5*roundEvery + roundEvery/2)
		cancel()
		<-done
		if s := k.Stats(); s.Passes < 4 || s.Passes > 6 || s.LastPass.IsZero() {
			t.Errorf("%+v after five rounds", s)
		}
	})
}

// How fast a block is read and checked: the patrol, a start after an unclean end, and
// log verify pay this.
func BenchmarkScan(b *testing.B) {
	var block []byte
	for seq := uint64(1); len(block) < 8<<20; seq++ {
		block = blocks.AppendErased(block, "LOG", 1, seq, 350)
	}
	s := scanner{stream: "LOG"}
	b.SetBytes(int64(len(block)))
	b.ReportAllocs()
	for b.Loop() {
		s.records(&found{blockInfo: blockInfo{Index: 1}}, block)
	}
}
