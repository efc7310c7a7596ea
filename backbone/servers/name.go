package servers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"edgeloop/backbone/names"
)

// ErrNameTaken says that another node of this name runs on the external server.
// Presence tells nodes apart by their names.
var ErrNameTaken = errors.New("backbone: another node with this name is connected to the NATS server")

// nameWait is how long a node of the same name may take to say that it is there.
const nameWait = 500 * time.Millisecond

// claimName asks whether another node answers to this one's name, and answers to it
// from then on. Of one that starts at the same moment, or that stands still, it does
// not know.
func (s *Servers) claimName(ctx context.Context) error {
	subject := names.Node + string(names.AppendToken(nil, s.cfg.Node)) + ".name"
	ctx, cancel := context.WithTimeout(ctx, nameWait)
	defer cancel()
	if _, err := s.Asker.NC.RequestWithContext(ctx, subject, nil); err == nil {
		return fmt.Errorf("%w: %q", ErrNameTaken, s.cfg.Node)
	}
	_, err := s.Asker.NC.Subscribe(subject, func(m *nats.Msg) {
		_ = m.Respond(nil) // an answer that is lost is one not heard
	})
	if err != nil {
		return fmt.Errorf("claim the name %q: %w", s.cfg.Node, err)
	}
	return nil
}
