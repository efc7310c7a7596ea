package sink_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"edgeloop/backbone/reader"
	"edgeloop/backbone/store"
	"edgeloop/sink"
	"edgeloop/sink/keys"
	"edgeloop/sink/sinktest"
)

// fakeLog is a log in memory.
type fakeLog struct {
	mu sync.Mutex
	// Guarded by mu.
	records []sink.Record
	grown   chan struct{}
	places  map[string]uint64
	kept    []uint64 // each place that was kept, in order
	letters []store.Letter
	openErr error
	buryErr error
}

func newLog(records ...sink.Record) *fakeLog {
	return &fakeLog{records: records, places: map[string]uint64{}, grown: make(chan struct{})}
}

func (l *fakeLog) grow(records ...sink.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records = append(l.records, records...)
	close(l.grown)
	l.grown = make(chan struct{})
}

// forget has retention take all records.
func (l *fakeLog) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records = nil
}

func (l *fakeLog) place(name string) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.places[sink.ReaderName(name)]
}

// keeps is each place that was kept, in order.
func (l *fakeLog) keeps() []uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.kept)
}

func (l *fakeLog) buried() (out []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, letter := range l.letters {
		if letter.Sink == "" {
			continue // removed
		}
		out = append(out, (&sink.Record{Log: letter.Log, Position: letter.Position}).ID())
	}
	return out
}

// node is the log as a sink sees it.
func (l *fakeLog) node() sink.Node {
	return sink.Node{
		Open: func(_ context.Context, name string, _ reader.Start) (sink.Reader, error) {
			l.mu.Lock()
			defer l.mu.Unlock()
			return &fakeReader{l, name}, l.openErr
		},
		Seek: func(_ context.Context, name, _ string, position uint64) error {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.places[name] = position
			return nil
		},
		Letters: fakeLetters{l},
	}
}

type fakeLetters struct{ *fakeLog }

func (l fakeLetters) Bury(_ context.Context, letter store.Letter) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.buryErr == nil {
		letter.Record = bytes.Clone(letter.Record)
		l.letters = append(l.letters, letter)
	}
	return l.buryErr
}

func (l fakeLetters) Each(_ context.Context, _ string, after uint64, fn func(uint64, store.Letter) bool) error {
	l.mu.Lock()
	letters := slices.Clone(l.letters)
	l.mu.Unlock()
	for i, letter := range letters {
		if number := uint64(i) + 1; number > after && letter.Sink != "" && !fn(number, letter) {
			break
		}
	}
	return nil
}

func (l fakeLetters) Remove(_ context.Context, _ string, number uint64) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.letters[number-1] = store.Letter{}
	return true, nil
}

type fakeReader struct {
	*fakeLog
	name string
}

func (r *fakeReader) Read(ctx context.Context, fn func(reader.Entry) error) error {
	for after := r.Place().Position; ; {
		r.mu.Lock()
		records, grown := slices.Clone(r.records), r.grown
		r.mu.Unlock()
		for _, rec := range records {
			if rec.Position <= after {
				continue
			}
			if err := fn(reader.Entry{Position: rec.Position, Line: rec.Line}); err != nil {
				return err
			}
			after = rec.Position
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (r *fakeReader) Keep(ctx context.Context, position uint64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	r.places[r.name] = position
	r.kept = append(r.kept, position)
	return nil
}

func (r *fakeReader) Place() store.Place {
	r.mu.Lock()
	defer r.mu.Unlock()
	return store.Place{Log: sinktest.Log, Position: r.places[r.name]}
}

// fakeDestination takes what judge lets pass.
type fakeDestination struct {
	// judge says how many are confirmed, and with which error; nil: all.
	judge func(ctx context.Context, records []sink.Record) (int, error)

	mu sync.Mutex
	// Guarded by mu.
	got    []string
	sizes  []int // of the attempts
	closed int
}

func (d *fakeDestination) Send(ctx context.Context, records []sink.Record) (n int, err error) {
	if n = len(records); d.judge != nil {
		n, err = d.judge(ctx, records)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sizes = append(d.sizes, len(records))
	d.got = append(d.got, sinktest.IDs(records[:n]...)...)
	return n, err
}

func (d *fakeDestination) Close(context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed++
	return nil
}

func (d *fakeDestination) received() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.got)
}

func (d *fakeDestination) attempts() []int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.sizes)
}

// specs are sinks to fake destinations, by name; more are further keys of each.
func specs(t *testing.T, more map[string]any, names []string, destinations ...*fakeDestination) []sink.Spec {
	t.Helper()
	var list []any
	kinds := map[string]sink.Kind{}
	for i, d := range destinations {
		one := map[string]any{"name": names[i], "type": names[i], "batch": map[string]any{"wait": "10ms", "records": 50}}
		for k, v := range more {
			one[k] = v
		}
		list = append(list, one)
		kinds[names[i]] = func(*keys.Map) sink.Destination { return d }
	}
	out, err := sink.Parse(list, kinds)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// run has sinks run to the end of the test.
func run(t *testing.T, l *fakeLog, list []sink.Spec) *sink.Set {
	t.Helper()
	s := sink.NewSet(l.node())
	if err := s.Apply(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, s) })
	return s
}

func stop(t *testing.T, s *sink.Set) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Error(err)
	}
}

var errDown = errors.New("nobody is there")
