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

// Waiting is a command that waits for its device.
type Waiting struct {
	ID      string
	Stored  time.Time
	Expires time.Time
	Payload []byte
}

// WaitingCommands lists the commands that wait for a device, oldest first; there are at
// most as many as may wait for one device.
func (c *Commands) WaitingCommands(ctx context.Context, tenant, device string) (all []Waiting, err error) {
	err = c.each(ctx, tenant, device, func(m *jetstream.RawStreamMsg, w Waiting) error {
		all = append(all, w)
		return nil
	})
	if err != nil {
		err = fmt.Errorf("list commands: %w", c.srv.OrClosed(err))
	}
	return all, err
}

// CancelCommands deletes the command of that id that waits for a device, or all of them
// for "", and returns how many it was. One that is being delivered meanwhile is not.
func (c *Commands) CancelCommands(ctx context.Context, tenant, device, id string) (n int, err error) {
	err = c.each(ctx, tenant, device, func(m *jetstream.RawStreamMsg, w Waiting) error {
		if id != "" && w.ID != id {
			return nil
		}
		mine, err := c.deleteCommand(ctx, m.Sequence)
		if mine {
			n++
			c.set.took(m.Subject, m.Sequence, len(m.Data))
		}
		return err
	})
	if n > 0 {
		err = errors.Join(err, c.srv.SyncStream(names.StreamDown))
	}
	if err != nil {
		err = fmt.Errorf("cancel commands: %w", c.srv.OrClosed(err))
	}
	return n, err
}

// each gives fn the commands of a device that have not expired, oldest first.
func (c *Commands) each(ctx context.Context, tenant, device string, fn func(*jetstream.RawStreamMsg, Waiting) error) error {
	subject, err := names.Subject(names.Down, tenant, device)
	if err != nil {
		return err
	}
	_, err = c.walk(ctx, subject, 1, func(m *jetstream.RawStreamMsg) (bool, error) {
		ms, _ := strconv.ParseInt(m.Header.Get(headerExpires), 10, 64)
		w := Waiting{ID: m.Header.Get(headerCommandID), Stored: m.Time, Expires: time.UnixMilli(ms), Payload: m.Data}
		if w.Expires.Before(time.Now()) {
			return true, nil
		}
		return true, fn(m, w)
	})
	return err
}
