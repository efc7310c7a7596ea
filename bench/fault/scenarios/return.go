package scenarios

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"edgeloop/bench/fault/attack"
	"edgeloop/bench/fault/history"
	"edgeloop/bench/fault/life"
	"edgeloop/bench/fault/node"
	"edgeloop/internal/pause"
)

const (
	returnMemory = 160 << 20        // what may come on top of rest while devices return, whatever the size of the log
	fillTime     = 45 * time.Second // most that filling the log takes; it ends when the last peer has left
)

// actReaders has three readers go through a large log from its beginning, again and
// again, while devices return whom the node does not remember.
func actReaders(ctx context.Context, l *life.Life) error {
	count := l.Many(900)
	if err := fillLog(ctx, l, attack.Attack{Count: count, Rate: 300, Size: 4000, Messages: 50, For: fillTime}); err != nil {
		return err
	}
	u, err := node.ReadUsage(l.Node.PID())
	if err != nil {
		return err
	}
	return l.Beside(ctx, life.Bounds{Memory: u.RSS + returnMemory, Ack50: 80 * ms, Ack99: 500 * ms, Ping99: 250 * ms, Join99: 2500 * ms}, func(ctx context.Context) error {
		ctx, cancel := context.WithCancel(ctx)
		var wg sync.WaitGroup
		defer wg.Wait()
		defer cancel()
		for range 3 {
			wg.Go(func() {
				for ctx.Err() == nil {
					if err := l.Node.ReadAll(ctx); err != nil && ctx.Err() == nil {
						l.Journal.Break(history.Violation{Promise: history.Dropped, Detail: fmt.Sprintf("a reader of the log: %.300v", err)})
						return
					}
				}
			})
		}
		if err := pause.For(ctx, 500*ms); err != nil {
			return err
		}
		return returning(ctx, l, count, 6*time.Second)
	})
}

// actReload has more devices come at once than the node remembers, so that it has
// to look for each of them in a log that is larger than its memory may become.
func actReload(ctx context.Context, l *life.Life) error {
	count := l.Many(3000)
	if err := limitMemory(l, gib/2, gib/20*9); err != nil { // from the next start on
		return err
	}
	if err := fillLog(ctx, l, attack.Attack{Count: count, Rate: 600, Size: 4000, Messages: 50, For: fillTime}); err != nil {
		return err
	}
	u, err := node.ReadUsage(l.Node.PID())
	if err != nil {
		return err
	}
	return l.Beside(ctx, life.Bounds{Memory: u.RSS + returnMemory, Ack50: 80 * ms, Ack99: 500 * ms, Ping99: 250 * ms, Join99: 2500 * ms}, func(ctx context.Context) error {
		return returning(ctx, l, count, time.Duration(6+3*l.Options.Scale)*time.Second)
	})
}

// fillLog has peers fill the log one after another, so that the last message of each
// lies in a place of its own, and starts the node again, so that it remembers
// nobody.
func fillLog(ctx context.Context, l *life.Life, a attack.Attack) error {
	a.Kind = "stream"
	if _, err := l.Attack(ctx, a); err != nil {
		return err
	}
	l.Journal.Inject("SIGTERM")
	l.End(l.Node)
	if err := l.Boot(ctx); err != nil {
		return err
	}
	if err := l.Recover(ctx); err != nil {
		return err
	}
	return l.Rebase()
}

// returning has the peers of fillLog come back, all at once. Each must be let in;
// few may have been refused before.
func returning(ctx context.Context, l *life.Life, count int, d time.Duration) error {
	t, err := l.Attack(ctx, attack.Attack{Kind: "come-back", Count: count, For: d})
	if err != nil {
		return err
	}
	failed := 0
	for what, n := range t {
		if what != attack.Welcomed && what != attack.SlowestWelcome {
			failed += n
		}
	}
	if t[attack.Welcomed] == 0 {
		return errors.New("fault: nobody came back")
	}
	if t[attack.Welcomed] < count || failed > count/50 {
		l.Journal.Break(history.Violation{Promise: history.Dropped, Detail: fmt.Sprintf("%d of %d devices came back in %s: %s", t[attack.Welcomed], count, d, t)})
	}
	return nil
}

// actTug has pairs of connections take over from each other. The node has to hold
// such a device back.
func actTug(ctx context.Context, l *life.Life) error {
	const d = 5 * time.Second
	pairs := l.Many(4)
	return l.Beside(ctx, life.Bounds{}, func(ctx context.Context) error {
		t, err := l.Attack(ctx, attack.Attack{Kind: "tug", Count: 2 * pairs, For: d})
		if err != nil {
			return err
		}
		perSecond := float64(t[attack.Welcomed]) / d.Seconds() / float64(pairs)
		l.Note("each of %d devices took over %.1f times a second", pairs, perSecond)
		if perSecond > tugRate {
			l.Journal.Break(history.Violation{Promise: history.Slowed, Detail: fmt.Sprintf("a device that is two took over from itself %.1f times a second, not held back below %d", perSecond, tugRate)})
		}
		return nil
	})
}

// tugRate is how often in a second a device may take over from itself, on the
// average of the first seconds.
const tugRate = 20
