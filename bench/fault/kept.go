package fault

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// presenceStream is where nodes that share a NATS server keep the last state of each
// device.
const presenceStream = "EDGELOOP_PRESENCE"

// dial connects to the server itself, past the nodes.
func (u *upstream) dial() (js jetstream.JetStream, hangUp func(), err error) {
	nc, err := nats.Connect("nats://" + u.addr)
	if err != nil {
		return nil, nil, err
	}
	if js, err = jetstream.New(nc); err != nil {
		nc.Close()
		return nil, nil, err
	}
	return js, nc.Close, nil
}

// kept reads the last state of each device.
func (u *upstream) kept(ctx context.Context) (all []Listed, err error) {
	js, hangUp, err := u.dial()
	if err != nil {
		return nil, fmt.Errorf("read presence: %w", err)
	}
	defer hangUp()
	cons, err := js.OrderedConsumer(ctx, presenceStream, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy})
	if err != nil {
		return nil, fmt.Errorf("read presence: %w", err)
	}
	want := int(cons.CachedInfo().NumPending) //nolint:gosec // of a few hundred devices
	if want == 0 {
		return nil, nil
	}
	batch, err := cons.Fetch(want, jetstream.FetchMaxWait(5*time.Second))
	if err != nil {
		return nil, fmt.Errorf("read presence: %w", err)
	}
	for m := range batch.Messages() { // fewer when one was replaced meanwhile
		var e Listed
		if err := json.Unmarshal(m.Data(), &e); err != nil {
			return nil, fmt.Errorf("presence %q: %w", m.Data(), err)
		}
		all = append(all, e)
	}
	return all, batch.Error()
}

// mislead lets an old word of each device arrive late, of a node that nobody has.
func (u *upstream) mislead(ctx context.Context, records []Record) error {
	js, hangUp, err := u.dial()
	if err != nil {
		return fmt.Errorf("say what is not: %w", err)
	}
	defer hangUp()
	for _, r := range records {
		line, err := json.Marshal(map[string]any{"tenant": "default", "device": r.Device, "epoch": r.Epoch - 1, "online": r.Epoch%2 == 0, "node": "nobody"})
		if err != nil {
			return err
		}
		if _, err := js.Publish(ctx, "edgeloop.presence.default."+r.Device, line); err != nil {
			return fmt.Errorf("say what is not: %w", err)
		}
	}
	return nil
}

// checkKept waits for what is kept of the devices, all connected or all gone, to be
// true; presence is published soon after, not at once.
func (l *Life) checkKept(ctx context.Context, online bool) error {
	if l.upstream == nil {
		return nil
	}
	var vs []Violation
	err := l.await(ctx, 15*time.Second, "presence that is kept to be true", func() bool {
		all, err := l.upstream.kept(ctx)
		if err != nil {
			vs = []Violation{{Promise: Presence, Detail: err.Error()}}
			return false
		}
		vs = comparePresence(all, l.Crew.Records(), online)
		return len(vs) == 0
	})
	for i := range vs {
		vs[i].Detail = "kept on the NATS server: " + vs[i].Detail
	}
	l.Journal.Break(vs...)
	return err
}
