package mqttapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"edgeloop/backbone/reader"
)

// run reads for the group until ctx ends, which is when it has no members, or it cannot go on, and
// keeps its place.
func (g *group) run() {
	failed := false
	defer func() {
		if failed {
			g.s.dropGroup(g)
		}
		close(g.done)
	}()
	for g.ctx.Err() == nil {
		err := g.s.guarded(g.once)
		if err == nil || g.ctx.Err() != nil {
			continue
		}
		failed = g.fail(err)
		break
	}
	ctx, cancel := context.WithTimeout(context.Background(), leaveMost)
	defer cancel()
	if err := g.keep(ctx); err != nil {
		g.s.log.Warn("the place of a group of applications was not kept as they left it", zap.String("group", g.name), zap.Error(err))
	}
}

// once reads until something has to be given again, which is nil, or it cannot go on.
func (g *group) once() error {
	ctx, cancel := context.WithCancel(g.ctx)
	defer cancel()
	read := make(chan error, 1)
	go func() {
		read <- g.s.guarded(func() error {
			return g.reader.Read(ctx, func(e reader.Entry) error {
				g.missed += e.Missed
				return g.give(ctx, e.Position, e.Line)
			})
		})
	}()
	moved := g.moved
	var rest <-chan time.Time
	over := time.NewTicker(time.Second)
	defer over.Stop()
	var err error
	for err == nil {
		select {
		case err = <-read:
			return cmp.Or(err, errEnds)
		case <-g.again:
			err = errAgain
		case <-g.ctx.Done():
			err = errAgain
		case <-moved:
			err = g.keep(ctx)
			moved, rest = nil, time.After(g.s.cfg.KeepEvery)
		case <-rest:
			moved = g.moved
		case <-over.C: // over records that nobody wants
			err = g.keep(ctx)
		}
	}
	cancel()
	<-read //nolint:errcheck // it has ended, whatever it says
	if errors.Is(err, errAgain) {
		return g.keep(g.ctx)
	}
	return err
}

// errAgain: read again from the place.
var errAgain = errors.New("something has to be given again")

// keep moves the place over what is done.
func (g *group) keep(ctx context.Context) error {
	if to := g.place(); to > g.reader.Place().Position {
		return g.reader.Keep(ctx, to) //nolint:wrapcheck // the log says what it could not do
	}
	return nil
}

// fail ends the members, who come again to another group of that name, however long some of them
// take to leave; false: the last of them is ending this one.
func (g *group) fail(why error) bool {
	g.mu.Lock()
	first := !g.over
	g.over = true
	members := slices.Clone(g.members)
	g.mu.Unlock()
	for _, m := range members {
		m.c.end(fmt.Errorf("a group of shared subscriptions: %s", why)) //nolint:errorlint // of the group, and nothing about the client's session
	}
	g.end()
	return first
}
