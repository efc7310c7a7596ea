package grpcapi_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"edgeloop/admin/grpcapi"
	"edgeloop/backbone/reader"
	"edgeloop/backbone/store"
)

// fakeLog is a log in memory, with readers.
type fakeLog struct {
	mu      sync.Mutex
	lines   []string // position i+1
	missed  map[uint64]uint64
	more    chan struct{} // closed and made anew when there are more lines
	readers map[string]*fakeReader
	read    int // lines given to readers
	// hold, if set, is received from by each Keep, which says before that it has begun.
	hold, begun chan struct{}
}

func newFakeLog() *fakeLog {
	return &fakeLog{more: make(chan struct{}), readers: map[string]*fakeReader{}, missed: map[uint64]uint64{}}
}

// add appends a record of a tenant.
func (l *fakeLog) add(tenant string, data string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, fmt.Sprintf(`{"tenant":%q,"device":"d1","epoch":1,"seq":%d,"type":"telemetry","received":5,"data":%s}`, tenant, len(l.lines)+1, data))
	close(l.more)
	l.more = make(chan struct{})
}

func (l *fakeLog) given() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.read
}

// placeOf is where a reader stands.
func (l *fakeLog) placeOf(name string) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r := l.readers[name]; r != nil {
		return r.place
	}
	return 0
}

// steal has a reader opened elsewhere.
func (l *fakeLog) steal(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.readers[name].taken = true
}

func (l *fakeLog) Open(_ context.Context, name string, _ reader.Start) (grpcapi.Reader, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := &fakeReader{log: l}
	if old := l.readers[name]; old != nil {
		r.place, old.taken = old.place, true
	}
	l.readers[name] = r
	return r, nil
}

func (l *fakeLog) Names(context.Context) ([]string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append(slices.Collect(maps.Keys(l.readers)), "sink:lake"), nil
}

func (l *fakeLog) Edge(context.Context, reader.Start) (store.Place, error) {
	return store.Place{Log: "log"}, nil
}

func (l *fakeLog) Seek(_ context.Context, name, log string, position uint64) error {
	if log != "log" {
		return &reader.PositionError{After: position, Log: log, Is: "log"}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if old := l.readers[name]; old != nil {
		old.taken = true
	}
	l.readers[name] = &fakeReader{log: l, place: position}
	return nil
}

// fakeReader is guarded by the lock of its log.
type fakeReader struct {
	log   *fakeLog
	place uint64
	taken bool
}

func (r *fakeReader) Place() store.Place {
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	return store.Place{Log: "log", Position: r.place}
}

func (r *fakeReader) Check(context.Context) error {
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	if r.taken {
		return store.ErrTaken
	}
	return nil
}

func (r *fakeReader) Keep(ctx context.Context, position uint64) error {
	if r.log.hold != nil {
		r.log.begun <- struct{}{}
		select {
		case <-r.log.hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err := r.Check(ctx); err != nil {
		return err
	}
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	r.place = max(r.place, position)
	return nil
}

func (r *fakeReader) Read(ctx context.Context, fn func(reader.Entry) error) error {
	for at := r.Place().Position; ; {
		r.log.mu.Lock()
		more, e := r.log.more, reader.Entry{}
		if at < uint64(len(r.log.lines)) {
			e = reader.Entry{Position: at + 1, Line: []byte(r.log.lines[at]), Missed: r.log.missed[at+1]}
			r.log.read++
		}
		r.log.mu.Unlock()
		if e.Line != nil {
			if err := fn(e); err != nil {
				return err
			}
			at++
			continue
		}
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// fakePresence is nobody.
type fakePresence struct{}

func (*fakePresence) Watch(ctx context.Context, w grpcapi.Watch) error {
	w.Current()
	<-ctx.Done()
	return ctx.Err()
}
