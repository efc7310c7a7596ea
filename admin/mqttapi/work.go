package mqttapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"edgeloop/backbone/store"
	"edgeloop/eventloop"
	"edgeloop/mqttproto"
)

// work is all of a client that takes time, until ctx ends, whose cause it returns, or the
// client cannot go on.
func (c *client) work(ctx context.Context) error {
	over, look := time.NewTicker(time.Second), time.NewTicker(c.s.cfg.LookEvery)
	defer over.Stop()
	defer look.Stop()
	var moved <-chan struct{} // nil for KeepEvery behind a move
	if c.reader != nil {
		moved = c.window.moved
	}
	var rest <-chan time.Time
	for {
		var err error
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case err = <-c.ended:
		case <-c.arrived:
			err = c.hear(ctx)
		case <-moved:
			err = c.keep(ctx)
			moved, rest = nil, time.After(c.s.cfg.KeepEvery)
		case <-rest:
			moved = c.window.moved
		case <-over.C: // over records that the client does not want
			err = c.keep(ctx)
		case <-look.C:
			err = c.look(ctx)
		}
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		if err != nil {
			return err
		}
	}
}

// hear takes in the packets that wait.
func (c *client) hear(ctx context.Context) error {
	for _, packet := range c.take() {
		if err := c.packet(ctx, packet); err != nil {
			return err
		}
	}
	return nil
}

// begin begins to read the log, unless that is done already.
func (c *client) begin(log string) {
	if c.ended != nil {
		return
	}
	c.ended = make(chan error, 1)
	r := &reading{c: c, log: log, live: c.live, given: c.session.Given}
	go func() {
		defer close(c.ended)
		c.ended <- cmp.Or(c.s.guarded(func() error { return r.read(c.ctx) }), errEnds)
	}()
}

// keep moves the place over what is done.
func (c *client) keep(ctx context.Context) error {
	if c.reader == nil || c.ended == nil {
		return nil
	}
	to := c.window.done()
	if to <= c.reader.Place().Position {
		return nil
	}
	return c.reader.Keep(ctx, to) //nolint:wrapcheck // the log says what it could not do
}

// note writes the session down. left: the client is gone.
func (c *client) note(ctx context.Context, left bool) error {
	c.session.Seen, c.session.Left = time.Now().Unix(), left
	c.settleRetained()
	given, shared := c.window.given()
	c.session.Given, c.session.Shared = max(c.session.Given, given), max(c.session.Shared, shared)
	return c.reader.Note(ctx, c.session.note()) //nolint:wrapcheck // as above
}

// look sees whether the session was taken over elsewhere, and says that it is in use. That
// nobody can be asked now is no reason to end.
func (c *client) look(ctx context.Context) error {
	if c.reader == nil {
		return nil
	}
	if err := c.reader.Check(ctx); errors.Is(err, store.ErrTaken) {
		return err //nolint:wrapcheck // as above
	}
	if time.Since(time.Unix(c.session.Seen, 0)) < min(time.Duration(c.session.Expiry)*time.Second/2, seenEvery) {
		return nil
	}
	if err := c.note(ctx, false); errors.Is(err, store.ErrTaken) {
		return err
	}
	return nil
}

// seenEvery is how often a session says at least that it is in use.
const seenEvery = 10 * time.Minute

// leaveMost bounds what is done for a client that has gone.
const leaveMost = 5 * time.Second

// leave keeps the session of a client that is gone, or forgets it.
func (c *client) leave(why error) {
	if c.ended != nil {
		for range c.ended { // it ends with the context of c, which has ended
		}
	}
	c.giver.Wait() // likewise
	if c.reader == nil || errors.Is(why, store.ErrTaken) && !c.s.replaced(c) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), leaveMost)
	defer cancel()
	c.mu.Lock()
	if c.farewell != nil {
		c.session.Expiry = *c.farewell
	}
	c.mu.Unlock()
	err := c.keep(ctx)
	switch {
	case err == nil && c.session.Expiry == 0:
		err = c.s.cfg.Log.Forget(ctx, placeName(c.tenant, c.id))
	case err == nil:
		err = c.note(ctx, true)
	}
	if err != nil && !errors.Is(err, store.ErrTaken) {
		c.s.log.Warn("the session of an application was not kept as it left it", zap.String("client", c.id), zap.Error(err))
	}
}

// failed says how a client is told of what work returned, and whether it is a fault of its own.
func (c *client) failed(err error) {
	var fault *mqttproto.Error
	if errors.As(err, &fault) {
		code, reason := eventloop.PacketFault(err)
		c.conn.Close(code, reason)
		return
	}
	c.close(err)
}

var errEnds = errors.New("the log has ended")

var errPanic = errors.New("it panicked")

// guarded has a panic cost its client alone.
func (s *Server) guarded(do func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			s.counts.panics.Add(1)
			s.log.Error("an application's connection panicked", zap.Any("panic", v), zap.Stack("stack"))
			err = fmt.Errorf("%w: %v", errPanic, v)
		}
	}()
	return do()
}
