package node

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// MakeStream makes a stream that keeps what is published to a subject.
func (u *Upstream) MakeStream(ctx context.Context, name, subject string) error {
	js, hangUp, err := u.dial()
	if err != nil {
		return err
	}
	defer hangUp()
	_, err = js.CreateStream(ctx, jetstream.StreamConfig{Name: name, Subjects: []string{subject}, Storage: jetstream.FileStorage, AllowAtomicPublish: true})
	return err
}

// Messages calls each with all that a stream keeps, in order, and when the server got it; line is
// borrowed until return.
func (u *Upstream) Messages(ctx context.Context, name string, each func(at time.Time, line []byte) error) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	js, hangUp, err := u.dial()
	if err != nil {
		return err
	}
	defer hangUp()
	cons, err := js.OrderedConsumer(ctx, name, jetstream.OrderedConsumerConfig{})
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	for left := cons.CachedInfo().NumPending; left > 0; {
		batch, err := cons.Fetch(int(min(left, 1000)), jetstream.FetchMaxWait(10*time.Second)) //nolint:gosec // at most 1,000
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		got := uint64(0)
		for m := range batch.Messages() {
			got++
			meta, err := m.Metadata()
			if err != nil {
				return err
			}
			if err := each(meta.Timestamp, m.Data()); err != nil {
				return err
			}
		}
		if batch.Error() != nil || got == 0 {
			return fmt.Errorf("read %s: %d are left: %w", name, left-got, batch.Error())
		}
		left -= got
	}
	return nil
}
