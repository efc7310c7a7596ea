package nats

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// errNoPlace says that a device chose a subject for which the server has no place. While one that
// is configured has none, the server is at fault; it may be mended.
var errNoPlace = errors.New("no place for the subject that the device chose")

// intoStream publishes a record, and waits until a stream has it.
func (s *server) intoStream(ctx context.Context, m *nats.Msg) error {
	chosen := s.subject.Chosen()
	if chosen {
		var end func()
		ctx, end = s.leave.wait(ctx, m.Subject)
		defer end()
	}
	_, err := s.js.PublishMsg(ctx, m, jetstream.WithRetryAttempts(0))
	switch {
	case err == nil || !chosen:
		return err
	case errors.Is(context.Cause(ctx), nats.ErrPermissionViolation):
		return fmt.Errorf("publish to %s: %w: %w", m.Subject, errNoPlace, context.Cause(ctx))
	case errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, nats.ErrNoResponders):
		// Nobody answers where no JetStream runs, too: it has to say itself that it has no stream.
		if _, none := s.js.StreamNameBySubject(ctx, m.Subject); errors.Is(none, jetstream.ErrStreamNotFound) {
			return fmt.Errorf("publish to %s: %w: %w", m.Subject, errNoPlace, none)
		}
	}
	return err
}

// leave knows who waits for an answer that does not come where the user may not publish: the
// server says so beside, with the subject.
type leave struct {
	mu sync.Mutex
	// Guarded by mu.
	waiting map[string]map[*context.CancelCauseFunc]struct{}
}

// wait gives a context that ends when the server says that the user may not publish to a
// subject.
func (l *leave) wait(ctx context.Context, subject string) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting == nil {
		l.waiting = map[string]map[*context.CancelCauseFunc]struct{}{}
	}
	if l.waiting[subject] == nil {
		l.waiting[subject] = map[*context.CancelCauseFunc]struct{}{}
	}
	l.waiting[subject][&cancel] = struct{}{}
	return ctx, func() {
		cancel(nil)
		l.mu.Lock()
		defer l.mu.Unlock()
		if delete(l.waiting[subject], &cancel); len(l.waiting[subject]) == 0 {
			delete(l.waiting, subject)
		}
	}
}

// heard is told what the server says beside its answers.
func (l *leave) heard(_ *nats.Conn, _ *nats.Subscription, err error) {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return
	}
	_, behind, _ := strings.Cut(err.Error(), `Publish to "`)
	subject, _, _ := strings.Cut(behind, `"`)
	l.mu.Lock()
	defer l.mu.Unlock()
	for cancel := range l.waiting[subject] {
		(*cancel)(err)
	}
}
