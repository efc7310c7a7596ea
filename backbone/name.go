package backbone

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

// ErrNameTaken says that another node of this name runs on the external server.
// Presence tells nodes apart by their names.
var ErrNameTaken = errors.New("backbone: another node of this name is connected to the NATS server")

// nameWait is how long a node of the same name may take to say that it is there.
const nameWait = 500 * time.Millisecond

// claimName asks whether another node answers to this one's name, and answers to it
// from then on. Of one that starts at the same moment, or that stands still, it does
// not know.
func (b *Backbone) claimName(ctx context.Context) error {
	subject := nodePrefix + string(appendToken(nil, b.cfg.Node)) + ".name"
	ctx, cancel := context.WithTimeout(ctx, nameWait)
	defer cancel()
	if _, err := b.asker.nc.RequestWithContext(ctx, subject, nil); err == nil {
		return fmt.Errorf("%w: %q", ErrNameTaken, b.cfg.Node)
	}
	_, err := b.asker.nc.Subscribe(subject, func(m *nats.Msg) {
		_ = m.Respond(nil) // an answer that is lost is one not heard
	})
	if err != nil {
		return fmt.Errorf("claim the name %q: %w", b.cfg.Node, err)
	}
	return nil
}
