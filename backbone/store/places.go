package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"edgeloop/backbone/names"
	"edgeloop/backbone/servers"
)

// Place says how far a named reader of the log has come.
type Place struct {
	Log      string `json:"log"`      // the identity of the log
	Position uint64 `json:"position"` // of the last record that the reader is done with
	// Missed is how many records retention has ever taken before the reader came to
	// them.
	Missed uint64 `json:"missed,omitempty"`
	// By identifies the latest reader of the name, on whichever node.
	By string `json:"by"`
	// Note is what the reader's user keeps with the place; "" is nothing.
	Note string `json:"note,omitempty"`
}

// ErrTaken says that another reader of the same name has moved the place since.
var ErrTaken = errors.New("backbone: another reader with this name keeps the place now")

const (
	headerExpected   = "Nats-Expected-Last-Subject-Sequence"
	codeWrongLast    = 10071
	maxReaderName    = 256
	errBadReaderName = placeError("backbone: a reader's name is 1 to 256 bytes")
)

type placeError string

func (e placeError) Error() string { return string(e) }

// Places keeps the places of named readers of the log. Its methods may be called from any
// goroutine.
type Places struct {
	// Immutable after construction.
	srv    *servers.Servers
	stream jetstream.Stream
}

// OpenPlaces makes the stream. It is called for the first reader only, so that nodes without
// one need no permission from the operator of a shared server.
func OpenPlaces(ctx context.Context, srv *servers.Servers) (*Places, error) {
	p := &Places{srv: srv}
	var err error
	p.stream, err = srv.Ensure(ctx, servers.Want{Stream: jetstream.StreamConfig{
		Name:              names.StreamPlaces,
		Description:       "how far the named readers of the log have come",
		Subjects:          []string{names.Place + ">"},
		Storage:           jetstream.FileStorage,
		MaxMsgsPerSubject: 1,
		AllowDirect:       true,
	}})
	if err != nil {
		return nil, err
	}
	return p, srv.SyncNewStream(names.StreamPlaces)
}

func placeSubject(name string) (string, error) {
	if name == "" || len(name) > maxReaderName {
		return "", errBadReaderName
	}
	return string(names.AppendToken([]byte(names.Place), name)), nil
}

// Get returns the place of a reader and its revision for Put; revision 0: there is none.
func (p *Places) Get(ctx context.Context, name string) (at Place, revision uint64, err error) {
	subject, err := placeSubject(name)
	if err != nil {
		return at, 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, p.srv.Patience())
	defer cancel()
	m, err := p.stream.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return at, 0, nil
	}
	if err == nil {
		err = json.Unmarshal(m.Data, &at)
	}
	if err != nil {
		return at, 0, fmt.Errorf("read the place of %q: %w", name, p.srv.OrClosed(err))
	}
	return at, m.Sequence, nil
}

// Put replaces the place of a reader that has the given revision. It is durable when Put
// returns the new revision. It returns ErrTaken if another reader has put one since.
func (p *Places) Put(ctx context.Context, name string, at Place, revision uint64) (uint64, error) {
	now, err := p.put(ctx, name, at, revision)
	var api *jetstream.APIError
	if !errors.As(err, &api) || api.ErrorCode != codeWrongLast {
		return now, err
	}
	is, latest, err := p.Get(ctx, name)
	switch {
	case err != nil:
		return revision, err
	case latest == 0 || is.By != at.By:
		return revision, ErrTaken
	}
	return p.put(ctx, name, at, latest) // an earlier Put was stored, and its answer lost
}

func (p *Places) put(ctx context.Context, name string, at Place, revision uint64) (uint64, error) {
	subject, err := placeSubject(name)
	if err != nil {
		return revision, err
	}
	data, err := json.Marshal(at)
	if err != nil {
		return revision, err
	}
	now, err := p.srv.Put(ctx, names.StreamPlaces, &nats.Msg{
		Subject: subject, Data: data,
		Header: nats.Header{headerExpected: {strconv.FormatUint(revision, 10)}},
	})
	if err != nil {
		return revision, fmt.Errorf("keep the place of %q: %w", name, err)
	}
	return now, nil
}

// Names are the readers that have a place.
func (p *Places) Names(ctx context.Context) (all []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, p.srv.Patience())
	defer cancel()
	info, err := p.stream.Info(ctx, jetstream.WithSubjectFilter(names.Place+">"))
	if err != nil {
		return nil, fmt.Errorf("list the places of readers: %w", p.srv.OrClosed(err))
	}
	for subject := range info.State.Subjects {
		if name, ok := names.Name(subject, names.Place); ok {
			all = append(all, name)
		}
	}
	return all, nil
}

// Each calls fn with the place of each reader.
func (p *Places) Each(ctx context.Context, fn func(name string, at Place)) error {
	all, err := p.Names(ctx)
	if err != nil {
		return err
	}
	for _, name := range all {
		at, _, err := p.Get(ctx, name)
		if err != nil {
			return err
		}
		fn(name, at)
	}
	return nil
}

// Adopt gives the places in one log to another, which has what that had up to end.
func (p *Places) Adopt(ctx context.Context, from, to string, end uint64) error {
	var readers []string
	err := p.Each(ctx, func(name string, at Place) {
		if at.Log == from {
			readers = append(readers, name)
		}
	})
	for _, name := range readers {
		if err != nil {
			break
		}
		var at Place
		var revision uint64
		if at, revision, err = p.Get(ctx, name); err == nil {
			at.Log, at.Position = to, min(at.Position, end)
			_, err = p.Put(ctx, name, at, revision)
		}
	}
	return err
}

// Forget removes the place of a reader. It is not an error if there is none.
func (p *Places) Forget(ctx context.Context, name string) error {
	subject, err := placeSubject(name)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, p.srv.Patience())
	defer cancel()
	if err := p.stream.Purge(ctx, jetstream.WithPurgeSubject(subject)); err != nil {
		return fmt.Errorf("forget the place of %q: %w", name, p.srv.OrClosed(err))
	}
	return p.srv.SyncStream(names.StreamPlaces)
}
