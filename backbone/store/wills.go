package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

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
	Retain  bool          `json:"retain,omitempty"`
}

// Wills keeps the Wills that wait, so that they outlive their node. Its methods may be called
// from any goroutine.
type Wills struct {
	// Immutable after construction.
	srv    *servers.Servers
	node   string
	logger *zap.Logger

	mu sync.Mutex
	// Guarded by mu.
	stream jetstream.Stream // nil until the first is needed
}

// NewWills makes no stream: the first Will does.
func NewWills(srv *servers.Servers, node string, logger *zap.Logger) *Wills {
	return &Wills{srv: srv, node: node, logger: logger}
}

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

// Keep forgets the Wills of the devices of over and keeps those of put, each in the place of its
// device's older one. All but undone are on the disk when Keep returns; the error says why those
// may not be.
func (w *Wills) Keep(ctx context.Context, put, over []Will) (undone []Will, err error) {
	all := slices.Concat(over, put) // what is removed makes room
	if err := w.srv.Writable(); err != nil {
		return all, &servers.UnavailableError{Cause: err}
	}
	st, err := w.open(ctx)
	if err != nil {
		return all, fmt.Errorf("keep Wills: %w", err)
	}
	for i := range all {
		failed := ctx.Err()
		switch {
		case failed != nil:
		case i < len(over):
			failed = w.remove(ctx, st, &all[i])
		default:
			failed = w.put(ctx, &all[i])
		}
		if failed != nil {
			undone, err = append(undone, all[i]), cmp.Or(err, failed)
		}
	}
	if failed := w.srv.SyncStream(names.StreamWills); failed != nil {
		undone, err = all, failed
	}
	if err != nil {
		return undone, fmt.Errorf("keep Wills: %w", w.srv.OrClosed(err))
	}
	return nil, nil
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
	return w.srv.Ask(ctx, func(within context.Context) error {
		_, err := w.srv.Asker.JS.PublishMsg(within, &nats.Msg{Subject: subject, Data: data})
		return err
	})
}

func (w *Wills) remove(ctx context.Context, st jetstream.Stream, will *Will) error {
	subject, err := names.Subject(names.Will, will.Tenant, will.Device)
	if err != nil {
		return err
	}
	return w.srv.Ask(ctx, func(within context.Context) error {
		return st.Purge(within, jetstream.WithPurgeSubject(subject))
	})
}

// Each calls fn with each Will that this node has kept; of a store that it does not share those
// are all, whatever its name was then. It makes no stream. One that cannot be read is passed over.
// Where the server is lost meanwhile fn may see a Will twice.
func (w *Wills) Each(ctx context.Context, fn func(Will)) error {
	info, err := w.srv.Info(ctx, names.StreamWills)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the Wills that wait: %w", w.srv.OrClosed(err))
	}
	if info.State.Msgs == 0 {
		return nil
	}
	within, cancel := context.WithCancel(ctx)
	defer cancel()
	all := false
	w.srv.Watch(within, &servers.Watcher{ // which brings many at a time
		Stream: names.StreamWills,
		Config: jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy},
		Each: func(m *servers.Delivery) {
			var will Will
			if err := json.Unmarshal(m.Data, &will); err != nil {
				w.logger.Error("cannot read a Will that waits, it is not published", zap.String("subject", m.Subject), zap.Error(err))
			} else if will.Node == w.node || !w.srv.Shared() {
				fn(will)
			}
		},
		CaughtUp: func() {
			all = true
			cancel()
		},
	})
	if !all {
		return fmt.Errorf("read the Wills that wait: %w", w.srv.OrClosed(ctx.Err()))
	}
	return nil
}
