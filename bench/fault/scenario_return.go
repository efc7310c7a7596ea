package fault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"sync"
	"time"
)

const (
	returnMemory = 160 << 20        // what may come on top of rest while devices return, whatever the size of the log
	fillTime     = 45 * time.Second // most that filling the log takes; it ends when the last peer has left
)

// actReaders has three readers go through a large log from its beginning, again and
// again, while devices return whom the node does not remember.
func actReaders(ctx context.Context, l *Life) error {
	count := l.many(900)
	if err := l.fillLog(ctx, Attack{Count: count, Rate: 300, Size: 4000, Messages: 50, For: fillTime}); err != nil {
		return err
	}
	u, err := readUsage(l.Node.PID())
	if err != nil {
		return err
	}
	return l.beside(ctx, bounds{memory: u.rss + returnMemory, ack50: 80 * ms, ack99: 500 * ms, ping99: 250 * ms, join99: 2500 * ms}, func(ctx context.Context) error {
		ctx, cancel := context.WithCancel(ctx)
		var wg sync.WaitGroup
		defer wg.Wait()
		defer cancel()
		for range 3 {
			wg.Go(func() {
				for ctx.Err() == nil {
					if err := l.Node.readAll(ctx); err != nil && ctx.Err() == nil {
						l.Journal.Break(Violation{Promise: Dropped, Detail: fmt.Sprintf("a reader of the log: %.300v", err)})
						return
					}
				}
			})
		}
		if err := pause(ctx, 500*ms); err != nil {
			return err
		}
		return l.returning(ctx, count, 6*time.Second)
	})
}

// readAll reads the whole log through `edgeloop tail`, and throws it away.
func (n *Node) readAll(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, n.Binary, "tail", "--data-dir", n.Dir, "--admin-url", "http://"+n.Admin, "--since", "all", "--no-follow")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr // what it reads goes to /dev/null
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("edgeloop tail: %w: %s", err, stderr.Bytes())
	}
	return nil
}

// actReload has more devices come at once than the node remembers, so that it has
// to look for each of them in a log that is larger than its memory may become.
func actReload(ctx context.Context, l *Life) error {
	count := l.many(3000)
	if err := l.limitMemory(gib/2, gib/20*9); err != nil { // from the next start on
		return err
	}
	if err := l.fillLog(ctx, Attack{Count: count, Rate: 600, Size: 4000, Messages: 50, For: fillTime}); err != nil {
		return err
	}
	u, err := readUsage(l.Node.PID())
	if err != nil {
		return err
	}
	return l.beside(ctx, bounds{memory: u.rss + returnMemory, ack50: 80 * ms, ack99: 500 * ms, ping99: 250 * ms, join99: 2500 * ms}, func(ctx context.Context) error {
		return l.returning(ctx, count, time.Duration(6+3*l.Options.Scale)*time.Second)
	})
}

// fillLog has peers fill the log one after another, so that the last message of each
// lies in a place of its own, and starts the node again, so that it remembers
// nobody.
func (l *Life) fillLog(ctx context.Context, a Attack) error {
	a.Kind = "stream"
	if _, err := l.attack(ctx, a); err != nil {
		return err
	}
	l.Journal.Inject("SIGTERM")
	l.end(l.Node)
	if err := l.boot(ctx); err != nil {
		return err
	}
	if err := l.recover(ctx); err != nil {
		return err
	}
	return l.rebase()
}

// returning has the peers of fillLog come back, all at once. Each must be let in;
// few may have been refused before.
func (l *Life) returning(ctx context.Context, count int, d time.Duration) error {
	t, err := l.attack(ctx, Attack{Kind: "come-back", Count: count, For: d})
	if err != nil {
		return err
	}
	failed := 0
	for what, n := range t {
		if what != welcomed && what != slowestWelcome {
			failed += n
		}
	}
	if t[welcomed] == 0 {
		return errors.New("fault: nobody came back")
	}
	if t[welcomed] < count || failed > count/50 {
		l.Journal.Break(Violation{Promise: Dropped, Detail: fmt.Sprintf("%d of %d devices came back in %s: %s", t[welcomed], count, d, t)})
	}
	return nil
}

// actTug has pairs of connections take over from each other. The node has to hold
// such a device back.
func actTug(ctx context.Context, l *Life) error {
	const d = 5 * time.Second
	pairs := l.many(4)
	return l.beside(ctx, bounds{}, func(ctx context.Context) error {
		t, err := l.attack(ctx, Attack{Kind: "tug", Count: 2 * pairs, For: d})
		if err != nil {
			return err
		}
		perSecond := float64(t[welcomed]) / d.Seconds() / float64(pairs)
		l.Note("each of %d devices took over %.1f times a second", pairs, perSecond)
		if perSecond > tugRate {
			l.Journal.Break(Violation{Promise: Slowed, Detail: fmt.Sprintf("a device that is two took over from itself %.1f times a second, not held back below %d", perSecond, tugRate)})
		}
		return nil
	})
}

// tugRate is how often in a second a device may take over from itself, on the
// average of the first seconds.
const tugRate = 20
