package store

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"edgeloop/backbone/names"
	"edgeloop/backbone/servers"
)

// RetainedMessage is the last message of a topic that was published to be retained.
type RetainedMessage struct {
	Tenant, Topic string
	Position      uint64 // in the log; 0: it is of an older one
	Line          []byte // the record; nil: the topic has none any more
}

// Retained keeps such messages, and up to where the log is in them, so that both outlive the
// node. One goroutine at a time may call its methods.
type Retained struct {
	// Immutable after construction.
	srv    *servers.Servers
	logger *zap.Logger

	// Owned by the goroutine that calls.
	stream jetstream.Stream // nil until something is kept
}

// NewRetained makes no stream: the first Keep does.
func NewRetained(srv *servers.Servers, logger *zap.Logger) *Retained {
	return &Retained{srv: srv, logger: logger}
}

const (
	headerPosition = "Edgeloop-Position"
	headerTopic    = "Edgeloop-Topic" // escaped
	// retainedPlace is a subject of one token, and those of messages have two.
	retainedPlace = names.Retained + "place"
)

func retainedSubject(tenant, topic string) (string, error) {
	sum := sha256.Sum256([]byte(topic))
	return names.Subject(names.Retained, tenant, hex.EncodeToString(sum[:]))
}

func (r *Retained) open(ctx context.Context) (jetstream.Stream, error) {
	if r.stream != nil {
		return r.stream, nil
	}
	st, err := r.srv.Ensure(ctx, servers.Want{Stream: jetstream.StreamConfig{
		Name:              names.StreamRetained,
		Description:       "the last messages of MQTT that were published to be retained",
		Subjects:          []string{names.Retained + ">"},
		Storage:           jetstream.FileStorage,
		MaxMsgsPerSubject: 1,
		AllowDirect:       true,
	}})
	if err == nil {
		err = r.srv.SyncNewStream(names.StreamRetained)
	}
	if err != nil {
		return nil, r.srv.OrClosed(err)
	}
	r.stream = st
	return st, nil
}

// Keep keeps messages, each in the place of its topic's older one, and then that all of the log up
// to a place is in them. done is how many were kept for sure, from the first; one more may be. The
// messages are on the disk before the place is written. That is not synced: an older one only has
// more of the log read again.
func (r *Retained) Keep(ctx context.Context, all []RetainedMessage, upto Place) (done int, err error) {
	if err := r.srv.Writable(); err != nil {
		return 0, &servers.UnavailableError{Cause: err}
	}
	st, err := r.open(ctx)
	for err == nil && done < len(all) {
		if err = r.put(ctx, st, &all[done]); err == nil {
			done++
		}
	}
	if done > 0 { // those are kept, whatever became of the next one
		if failed := r.srv.SyncStream(names.StreamRetained); failed != nil {
			done, err = 0, errors.Join(err, failed)
		}
	}
	var place []byte
	if err == nil {
		place, err = json.Marshal(upto)
	}
	if err == nil {
		err = r.publish(ctx, &nats.Msg{Subject: retainedPlace, Data: place})
	}
	if err != nil {
		return done, fmt.Errorf("keep retained messages: %w", r.srv.OrClosed(err))
	}
	return done, nil
}

func (r *Retained) put(ctx context.Context, st jetstream.Stream, m *RetainedMessage) error {
	subject, err := retainedSubject(m.Tenant, m.Topic)
	if err != nil {
		return err
	}
	if m.Line == nil {
		return r.srv.Ask(ctx, func(within context.Context) error {
			return st.Purge(within, jetstream.WithPurgeSubject(subject))
		})
	}
	return r.publish(ctx, &nats.Msg{
		Subject: subject, Data: m.Line,
		Header: nats.Header{headerPosition: []string{strconv.FormatUint(m.Position, 10)}, headerTopic: []string{url.QueryEscape(m.Topic)}},
	})
}

func (r *Retained) publish(ctx context.Context, m *nats.Msg) error {
	return r.srv.Ask(ctx, func(within context.Context) error {
		_, err := r.srv.Asker.JS.PublishMsg(within, m)
		return err
	})
}

// Each calls fn with each message that is kept, and returns up to where the log is in them; that
// is empty where it is lost. there is false where nothing was ever kept. Line is fn's. It makes no
// stream. Where the server is lost meanwhile fn may see a message twice.
func (r *Retained) Each(ctx context.Context, fn func(RetainedMessage)) (upto Place, there bool, err error) {
	info, err := r.srv.Info(ctx, names.StreamRetained)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return Place{}, false, nil
	}
	if err != nil {
		return Place{}, false, fmt.Errorf("read the retained messages: %w", r.srv.OrClosed(err))
	}
	if info.State.Msgs == 0 {
		return Place{}, true, nil
	}
	within, cancel := context.WithCancel(ctx)
	defer cancel()
	all := false
	var failed error
	r.srv.Watch(within, &servers.Watcher{
		Stream: names.StreamRetained,
		Config: jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy},
		Each: func(d *servers.Delivery) {
			if d.Subject == retainedPlace {
				failed = cmp.Or(failed, json.Unmarshal(d.Data, &upto))
				return
			}
			position, err := strconv.ParseUint(d.Header.Get(headerPosition), 10, 64)
			topic, bad := url.QueryUnescape(d.Header.Get(headerTopic))
			tenant, _, ok := names.Split(d.Subject, names.Retained)
			if err = cmp.Or(err, bad); err != nil || !ok { // never silent
				r.logger.Error("cannot read a retained message, it is left out", zap.String("subject", d.Subject), zap.Error(err))
				return
			}
			fn(RetainedMessage{Tenant: tenant, Topic: topic, Position: position, Line: append([]byte(nil), d.Data...)})
		},
		CaughtUp: func() {
			all = true
			cancel()
		},
	})
	if err = failed; err == nil && !all {
		err = ctx.Err()
	}
	if err != nil {
		return Place{}, true, fmt.Errorf("read the retained messages: %w", r.srv.OrClosed(err))
	}
	return upto, true, nil
}
