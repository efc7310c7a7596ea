package reader_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"edgeloop/backbone"
	"edgeloop/backbone/backbonetest"
	"edgeloop/backbone/reader"
)

// errEnough is how a test leaves a reader.
var errEnough = errors.New("enough")

func openReader(t *testing.T, b *backbone.Backbone, name string, start reader.Start) *backbone.Reader {
	t.Helper()
	r, err := b.OpenReader(t.Context(), name, start)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// readUpTo reads from the place up to a position, and gives the positions.
func readUpTo(t *testing.T, r *backbone.Reader, last uint64) (positions []uint64) {
	t.Helper()
	err := r.Read(t.Context(), func(e backbone.Entry) error {
		positions = append(positions, e.Position)
		if e.Position >= last {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		t.Fatal(err)
	}
	return positions
}

// A named reader goes on where it was, after a restart too: what it kept is not given
// again, and what it read and did not keep is.
func TestReader_SurvivesARestart(t *testing.T) {
	cfg := backbone.Config{DataDir: t.TempDir()}
	b := backbonetest.Open(t, cfg)
	backbonetest.Append(t, b, records(1, 5))
	r := openReader(t, b, "sink", backbone.Oldest)
	openReader(t, b, "tail", backbone.Newest)
	if got := fmt.Sprint(readUpTo(t, r, 4)); got != "[1 2 3 4]" {
		t.Errorf("read %s", got)
	}
	if err := r.Keep(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(readUpTo(t, r, 5)); got != "[4 5]" {
		t.Errorf("read %s after Keep", got)
	}
	if err := r.Keep(t.Context(), 6); err == nil {
		t.Error("a place was kept that nobody has reached")
	}
	backbonetest.Close(t, b)
	b = backbonetest.Open(t, cfg)
	backbonetest.Append(t, b, records(6, 6))
	r = openReader(t, b, "sink", backbone.Newest)
	if at := r.Place(); at.Position != 3 || at.Log != b.Identity() || at.Missed != 0 {
		t.Errorf("place %+v of log %s", at, b.Identity())
	}
	if got := fmt.Sprint(readUpTo(t, r, 6)); got != "[4 5 6]" {
		t.Errorf("read %s after a restart", got)
	}
	if got := fmt.Sprint(readUpTo(t, openReader(t, b, "tail", backbone.Oldest), 6)); got != "[6]" {
		t.Errorf("what began with the newest read %s after a restart", got)
	}
}

// A named reader waits for the sync like every other.
func TestReader_DoesNotPassTheDurablePosition(t *testing.T) {
	hold, held := make(chan struct{}), make(chan struct{})
	var once sync.Once
	release := func() { once.Do(func() { close(hold) }) }
	defer release()
	syncs := 0
	b := backbonetest.Open(t, backbone.Config{DataDir: t.TempDir(), Seams: backbone.Seams{Sync: func(next func() error) error {
		if syncs++; syncs == 2 {
			close(held)
			<-hold
		}
		return next()
	}}})
	r := openReader(t, b, "sink", backbone.Oldest)
	read := make(chan uint64, 16)
	ctx, cancel := context.WithCancel(t.Context())
	var reading sync.WaitGroup
	defer reading.Wait()
	defer cancel()
	reading.Go(func() {
		_ = r.Read(ctx, func(e backbone.Entry) error {
			read <- e.Position
			return nil
		})
	})
	backbonetest.Append(t, b, records(1, 1))
	if position := <-read; position != 1 {
		t.Fatalf("was given %d", position)
	}
	if err := b.Append(records(2, 2)); err != nil {
		t.Fatal(err)
	}
	<-held
	// The record is stored and not synced, and the server has sent it to the reader. Many
	// questions to the server pass meanwhile.
	for range 50 {
		openReader(t, b, "another", backbone.Newest)
	}
	select {
	case position := <-read:
		t.Fatalf("was given %d before the sync", position)
	default:
	}
	release()
	if position := <-read; position != 2 {
		t.Errorf("was given %d", position)
	}
}

// The place is one of its log. In another one the number means another record.
func TestReader_PlaceOfAnotherLog(t *testing.T) {
	cfg := backbone.Config{DataDir: t.TempDir()}
	b := backbonetest.Open(t, cfg)
	backbonetest.Append(t, b, records(1, 3))
	r := openReader(t, b, "sink", backbone.Oldest)
	readUpTo(t, r, 2)
	if err := r.Keep(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	was := b.Identity()
	backbonetest.Close(t, b)
	if err := os.RemoveAll(filepath.Join(cfg.DataDir, "nats/jetstream/$G/streams", backbone.StreamUp)); err != nil {
		t.Fatal(err)
	}
	cfg.OnDamage = backbone.DamageServe
	b = backbonetest.Open(t, cfg)
	backbonetest.Append(t, b, records(1, 5))
	var other *backbone.PositionError
	if _, err := b.OpenReader(t.Context(), "sink", backbone.Oldest); !errors.As(err, &other) || other.Log != was || other.Is != b.Identity() || other.After != 2 {
		t.Fatalf("a place of log %s was taken for one of %s: %v", was, b.Identity(), err)
	}
	if err := b.ForgetReader(t.Context(), "sink"); err != nil {
		t.Fatal(err)
	}
	if at := openReader(t, b, "sink", backbone.Oldest).Place(); at.Log != b.Identity() {
		t.Errorf("place %+v after it was forgotten", at)
	}
}

// Retention overtakes a reader that stands still, before it begins and while it reads. It
// is told how many records it did not get, and where: none is missing without a word.
func TestReader_IsToldWhatRetentionTook(t *testing.T) {
	small := backbone.Config{DataDir: t.TempDir(), BatchMax: 100, BatchBytes: 8 << 10, MaxRecord: 4 << 10}
	small.MaxBytes = 64 << 10
	b := backbonetest.Open(t, small)
	backbonetest.Append(t, b, records(1, 10))
	r := openReader(t, b, "sink", backbone.Oldest)
	readUpTo(t, r, 2)
	if err := r.Keep(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	const first, last = 2000, 6000
	backbonetest.Append(t, b, records(11, first))
	got, missed, gaps := uint64(0), uint64(0), 0
	err := r.Read(t.Context(), func(e backbone.Entry) error {
		if got++; got == 1 {
			if e.Missed == 0 || e.Position != 3+e.Missed {
				t.Errorf("the first one it got is %d, and it is told of %d missed", e.Position, e.Missed)
			}
			if err := b.Append(records(first+1, last)); err != nil { // more than it has ahead
				return err
			}
			backbonetest.Flush(t, b)
		}
		if missed += e.Missed; e.Missed > 0 {
			gaps++
		}
		if e.Position == last {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) || 2+got+missed != last || gaps != 2 {
		t.Errorf("of %d records it got %d behind its place and is told of %d in %d gaps, %v", last, got, missed, gaps, err)
	}
	if err := r.Keep(t.Context(), last); err != nil {
		t.Fatal(err)
	}
	if at := openReader(t, b, "sink", backbone.Oldest).Place(); at.Missed != missed || b.Stats().ReaderMissed != missed {
		t.Errorf("missed %d, kept as %+v, counted as %d", missed, at, b.Stats().ReaderMissed)
	}
}

// Two readers of one name would each skip what the other is done with.
func TestReader_OfOneNameIsOne(t *testing.T) {
	b := backbonetest.Open(t, backbone.Config{DataDir: t.TempDir()})
	backbonetest.Append(t, b, records(1, 3))
	older := openReader(t, b, "sink", backbone.Oldest)
	readUpTo(t, older, 1)
	newer := openReader(t, b, "sink", backbone.Oldest)
	readUpTo(t, newer, 3)
	if err := older.Keep(t.Context(), 1); !errors.Is(err, backbone.ErrReaderTaken) {
		t.Errorf("the older one keeps its place: %v", err)
	}
	if err := older.Check(t.Context()); !errors.Is(err, backbone.ErrReaderTaken) {
		t.Errorf("the older one asks, and hears %v", err)
	}
	if err := newer.Check(t.Context()); err != nil {
		t.Errorf("the newer one asks, and hears %v", err)
	}
	if err := newer.Keep(t.Context(), 3); err != nil {
		t.Error(err)
	}
	if at, err := b.Edge(t.Context(), backbone.Newest); err != nil || b.SeekReader(t.Context(), "sink", at.Log, at.Position) != nil {
		t.Errorf("moved to %+v, %v", at, err)
	}
	if err := newer.Check(t.Context()); !errors.Is(err, backbone.ErrReaderTaken) {
		t.Errorf("the place was moved, and its reader hears %v", err)
	}
	for _, name := range []string{"", string(make([]byte, 257))} {
		if _, err := b.OpenReader(t.Context(), name, backbone.Oldest); err == nil {
			t.Errorf("a reader of %d bytes was opened", len(name))
		}
	}
}
