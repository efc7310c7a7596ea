package backbone

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Names of the streams, for whoever looks at the store with NATS' own tools.
const (
	StreamUp       = "EDGELOOP_UP"
	StreamDown     = "EDGELOOP_DOWN"
	StreamPresence = "EDGELOOP_PRESENCE"
	StreamBans     = "EDGELOOP_BANS"
)

// dedupeWindow is how long the server remembers the ID of a batch. It must be
// longer than a batch can stay under way unseen, and costs about 100 B for each
// batch within it.
const dedupeWindow = 2 * time.Minute

// logStream is the durable log. Its retention is the operator's: with no bound
// given nothing ever leaves it. What only an external server needs (atomic.go) is
// the duplicate window, the atomic batches, and the rollup for the mark.
func logStream(c *Config) jetstream.StreamConfig {
	s := jetstream.StreamConfig{
		Name:               StreamUp,
		Description:        "what devices sent, in order",
		Subjects:           []string{upPrefix + ">", syncPrefix + ">"},
		Storage:            jetstream.FileStorage,
		MaxBytes:           c.MaxBytes,
		MaxAge:             c.MaxAge,
		Discard:            jetstream.DiscardOld,
		Duplicates:         dedupeWindow,
		AllowAtomicPublish: c.NATSURL != "",
		AllowRollup:        c.NATSURL != "",
		AllowDirect:        true,
	}
	if c.MaxAge > 0 {
		s.Duplicates = min(s.Duplicates, c.MaxAge)
	}
	if c.WhenFull == Stop {
		s.Discard = jetstream.DiscardNew
	}
	return s
}

// ensureStream creates or updates a stream. Replicas and placement of one that
// exists are its operator's and stay. With replicas, reads go to the leader: a
// follower's answer may be older than what was confirmed.
func ensureStream(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig) (jetstream.Stream, error) {
	old, err := js.Stream(ctx, want.Name)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
	case err != nil:
		return nil, fmt.Errorf("stream %s: %w", want.Name, err)
	default:
		have := old.CachedInfo().Config
		want.Replicas, want.Placement, want.Metadata = have.Replicas, have.Placement, have.Metadata
	}
	if want.Replicas > 1 {
		want.AllowDirect = false
	}
	s, err := js.CreateOrUpdateStream(ctx, want)
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", want.Name, err)
	}
	if want.AllowAtomicPublish && !s.CachedInfo().Config.AllowAtomicPublish {
		return nil, fmt.Errorf("stream %s: the server knows no atomic batches; nats-server 2.12 or newer is needed", want.Name)
	}
	return s, nil
}
