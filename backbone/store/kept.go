package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"edgeloop/backbone/names"
)

// Commands that stay in the store while they are delivered, until their device has confirmed
// them: at least once. A command is known by its position in the stream, which it keeps over
// restarts, and which grows.

// ReadCommands calls fn with the commands that wait for a device behind the position after,
// oldest first, until fn returns false or none is left. They stay in the store; those that
// have expired are left out. The ownership of payload passes to fn.
func (c *Commands) ReadCommands(ctx context.Context, tenant, device string, after uint64, fn func(position uint64, id string, payload []byte) bool) error {
	subject, err := names.Subject(names.Down, tenant, device)
	if err != nil {
		return err
	}
	_, err = c.walk(ctx, subject, after+1, func(m *jetstream.RawStreamMsg) (bool, error) {
		expires, _ := strconv.ParseInt(m.Header.Get(headerExpires), 10, 64)
		return expires <= time.Now().UnixMilli() || fn(m.Sequence, m.Header.Get(headerCommandID), m.Data), nil
	})
	if err != nil {
		return fmt.Errorf("read commands: %w", c.srv.OrClosed(err))
	}
	return nil
}

// RemoveCommands deletes the commands of a device at some positions. One that is there no
// more is none: it was removed, taken or cancelled, or has expired. They are gone for good
// when RemoveCommands returns nil; after an error some may be.
func (c *Commands) RemoveCommands(ctx context.Context, tenant, device string, positions []uint64) error {
	subject, err := names.Subject(names.Down, tenant, device)
	if err != nil {
		return err
	}
	known, deleted := c.set.latest(subject), 0
	for _, at := range positions {
		mine, failed := c.removeCommand(ctx, subject, at)
		if mine {
			deleted++
		}
		if err = failed; err != nil {
			break
		}
	}
	if deleted > 0 {
		err = errors.Join(err, c.srv.SyncStream(names.StreamDown))
	}
	if err != nil {
		return fmt.Errorf("remove commands: %w", c.srv.OrClosed(err))
	}
	if _, gone := c.stream.GetMsg(ctx, 1, jetstream.WithGetMsgSubject(subject)); errors.Is(gone, jetstream.ErrMsgNotFound) {
		c.set.cleared(subject, known)
	}
	return nil
}

// removeCommand deletes the command at a position, if it is one of that device.
func (c *Commands) removeCommand(ctx context.Context, subject string, at uint64) (mine bool, err error) {
	m, err := c.stream.GetMsg(ctx, at)
	if errors.Is(err, jetstream.ErrMsgNotFound) || err == nil && m.Subject != subject {
		return false, nil
	}
	if err == nil {
		mine, err = c.deleteCommand(ctx, at)
	}
	if mine {
		c.set.took(subject, at, len(m.Data))
	}
	return mine, err
}

// NewestCommand returns the position of the newest command that has waited for a device since
// it last had none, as far as is known here without asking the server; 0: none waits.
func (c *Commands) NewestCommand(tenant, device string) uint64 {
	subject, err := names.Subject(names.Down, tenant, device)
	if err != nil {
		return 0
	}
	return c.set.latest(subject)
}
