package node

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"edgeloop/bench/fault/history"
)

// presenceStream is where nodes that share a NATS server keep the last state of each
// device.
const presenceStream = "EDGELOOP_PRESENCE"

// dial connects to the server directly.
func (u *Upstream) dial() (js jetstream.JetStream, hangUp func(), err error) {
	nc, err := nats.Connect("nats://" + u.Addr)
	if err != nil {
		return nil, nil, err
	}
	if js, err = jetstream.New(nc); err != nil {
		nc.Close()
		return nil, nil, err
	}
	return js, nc.Close, nil
}

// Kept reads the last state of each device.
func (u *Upstream) Kept(ctx context.Context) (all []history.Listed, err error) {
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
		var e history.Listed
		if err := json.Unmarshal(m.Data(), &e); err != nil {
			return nil, fmt.Errorf("presence %q: %w", m.Data(), err)
		}
		all = append(all, e)
	}
	return all, batch.Error()
}

// Mislead publishes an outdated presence of each device, from a node that does not exist.
func (u *Upstream) Mislead(ctx context.Context, records []history.Record) error {
	js, hangUp, err := u.dial()
	if err != nil {
		return fmt.Errorf("publish outdated presence: %w", err)
	}
	defer hangUp()
	for _, r := range records {
		line, err := json.Marshal(map[string]any{"tenant": "default", "device": r.Device, "epoch": r.Epoch - 1, "online": r.Epoch%2 == 0, "node": "nobody"})
		if err != nil {
			return err
		}
		if _, err := js.Publish(ctx, "edgeloop.presence.default."+r.Device, line); err != nil {
			return fmt.Errorf("publish outdated presence: %w", err)
		}
	}
	return nil
}
