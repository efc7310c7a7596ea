package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"edgeloop/backbone/names"
	"edgeloop/backbone/servers"
)

// Will is what is published of a client that has gone, unless it is back before. A device has
// one at most.
type Will struct {
	Tenant  string        `json:"tenant"`
	Device  string        `json:"device"`
	Node    string        `json:"node"` // which one publishes it, where several share the store
	Epoch   uint64        `json:"epoch"`
	Delay   time.Duration `json:"delay"` // from when the client is gone, or the node begins
	Topic   string        `json:"topic"`
	Payload []byte        `json:"payload"`
	QoS     byte          `json:"qos"`
}

// Wills keeps the Wills that wait, so that they outlive their node. Its methods may be called
// from any goroutine.
type Wills struct {
	// Immutable after construction.
	srv  *servers.Servers
	node string

	mu sync.Mutex
	// Guarded by mu.
	stream jetstream.Stream // nil until the first is needed
}

// NewWills makes no stream: the first Will does.
func NewWills(srv *servers.Servers, node string) *Wills { return &Wills{srv: srv, node: node} }

// MaxWills is how many Wills are kept, of all nodes that share a store.
const MaxWills = 1 << 17

func (w *Wills) open(ctx context.Context) (jetstream.Stream, error) {
	w.mu.Lock()
	st := w.stream
	w.mu.Unlock()
	if st != nil {
		return st, nil
	}
	st, err := w.srv.Ensure(ctx, servers.Want{Stream: jetstream.StreamConfig{ // twice at a time does no harm
		Name:              names.StreamWills,
		Description:       "Wills of MQTT clients that wait for their delay",
		Subjects:          []string{names.Will + ">"},
		Storage:           jetstream.FileStorage,
		MaxMsgs:           MaxWills,
		MaxMsgsPerSubject: 1,
		Discard:           jetstream.DiscardNew,
		AllowDirect:       true,
	}})
	if err == nil {
		err = w.srv.SyncNewStream(names.StreamWills)
	}
	if err != nil {
		return nil, w.srv.OrClosed(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stream = st
	return st, nil
}

// Keep keeps the Wills put, each in the place of its device's older one, and forgets those of
// the devices of over. All of that is on the disk when Keep returns nil; after an error some
// may be.
func (w *Wills) Keep(ctx context.Context, put, over []Will) error {
	if err := w.srv.Writable(); err != nil {
		return &servers.UnavailableError{Cause: err}
	}
	st, err := w.open(ctx)
	for i := 0; i < len(put) && err == nil; i++ {
		err = w.put(ctx, &put[i])
	}
	for i := 0; i < len(over) && err == nil; i++ {
		err = w.remove(ctx, st, &over[i])
	}
	if err == nil {
		err = w.srv.SyncStream(names.StreamWills)
	}
	if err != nil {
		return fmt.Errorf("keep Wills: %w", w.srv.OrClosed(err))
	}
	return nil
}

func (w *Wills) put(ctx context.Context, will *Will) error {
	subject, err := names.Subject(names.Will, will.Tenant, will.Device)
	if err != nil {
		return err
	}
	will.Node = w.node
	data, err := json.Marshal(will)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, w.srv.Patience())
	defer cancel()
	_, err = w.srv.Asker.JS.PublishMsg(ctx, &nats.Msg{Subject: subject, Data: data})
	return err
}

func (w *Wills) remove(ctx context.Context, st jetstream.Stream, will *Will) error {
	subject, err := names.Subject(names.Will, will.Tenant, will.Device)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, w.srv.Patience())
	defer cancel()
	return st.Purge(ctx, jetstream.WithPurgeSubject(subject))
}

// Each calls fn with each Will that this node has kept; of a store that it does not share those
// are all, whatever its name was then. It makes no stream.
func (w *Wills) Each(ctx context.Context, fn func(Will)) error {
	info, err := w.srv.Info(ctx, names.StreamWills, jetstream.WithSubjectFilter(names.Will+">"))
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	var st jetstream.Stream
	if err == nil && len(info.State.Subjects) > 0 {
		st, err = w.open(ctx)
	}
	if err != nil {
		return fmt.Errorf("read the Wills that wait: %w", w.srv.OrClosed(err))
	}
	for subject := range info.State.Subjects {
		m, err := st.GetLastMsgForSubject(ctx, subject)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		var will Will
		if err == nil {
			err = json.Unmarshal(m.Data, &will)
		}
		if err != nil {
			return fmt.Errorf("read a Will that waits: %w", w.srv.OrClosed(err))
		}
		if will.Node == w.node || !w.srv.Shared() {
			fn(will)
		}
	}
	return nil
}
