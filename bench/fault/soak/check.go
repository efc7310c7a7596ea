package soak

import (
	"context"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"

	"edgeloop/bench/drift"
	"edgeloop/bench/fault/history"
	"edgeloop/bench/fault/life"
	"edgeloop/bench/probe"
	"edgeloop/internal/pause"
)

// check lets everything settle, holds the whole log so far against the records while
// the load goes on, and forgets the events that were found in order.
func (s *soak) check(ctx context.Context, l *life.Life, ch *churn) error {
	ch.calm.Store(true)
	defer ch.calm.Store(false)
	if err := s.gather(ctx, l); err != nil {
		return err
	}
	l.Crew.Produce(false)
	defer l.Crew.Produce(true)
	if err := l.Await(ctx, life.SettleLimit, "all devices to be connected and acknowledged", l.Settled); err != nil {
		return err
	}
	if !l.Settled() {
		l.Journal.Break(l.Crew.Stuck()...)
	}
	if err := l.CheckPresence(ctx); err != nil {
		return err
	}
	mark, records := l.Journal.Now(), l.Crew.Records()
	l.Crew.Produce(true)
	ch.calm.Store(false)
	broken, err := s.compare(ctx, l, records)
	if err != nil {
		return err
	}
	if len(broken) > 0 {
		l.Journal.Break(broken...)
		return l.Keep(broken, records)
	}
	l.Crew.Forget(mark)
	l.Journal.Forget(mark)
	if size := sizeOf(l.Node.Dir); size > s.o.MaxDisk {
		return fmt.Errorf("fault: the log of %s takes %d MiB, the limit is %d", l.Scenario.Name, size>>20, s.o.MaxDisk>>20)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checks++
	return nil
}

// gather waits, once nobody is cut any more, until all devices are connected and
// none of them is about to connect a second time, or has just done so.
func (s *soak) gather(ctx context.Context, l *life.Life) error {
	looks := 0
	return l.Await(ctx, life.SettleLimit, "all devices to be connected once", func() bool {
		looks++
		if l.Crew.Online() != l.Options.Devices || l.Crew.Left() > 0 || l.Crew.Turning() {
			looks = 0
		}
		return looks == 5 // 20 ms apart: a device may be between two of the three
	})
}

// compare reads the log while devices go on writing to it: all that records say
// must be there, and what was sent since may be.
func (s *soak) compare(ctx context.Context, l *life.Life, records []history.Record) ([]history.Violation, error) {
	growing := append([]history.Record(nil), records...)
	for i := range growing {
		growing[i].Sent = math.MaxUint64 // judged below
	}
	c := history.NewChecker(growing)
	if err := l.Node.Tail(ctx, c.Line); err != nil {
		return nil, fmt.Errorf("read the log back: %w", err)
	}
	for _, d := range l.Crew.Devices() {
		c.Sent(d.Name(), d.SentUpTo())
	}
	return c.Finish(), nil
}

func sizeOf(dir string) (bytes int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error { // files come and go
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				bytes += info.Size()
			}
		}
		return nil
	})
	return bytes
}

// read reads the node that lives on every now and then, its heap after a forced
// collection. A reading that is not answered, as in a SIGSTOP, is left out.
func (s *soak) read(ctx context.Context, l *life.Life) {
	pid := l.Node.PID()
	for pause.For(ctx, s.o.Read) == nil {
		token, err := l.Node.Token()
		if err != nil {
			continue
		}
		admin := probe.Endpoint{URL: "http://" + l.Node.Admin, Token: token}
		heap, err := probe.ReadHeap(ctx, admin)
		if err != nil {
			continue
		}
		metrics, err := probe.Metrics(ctx, admin)
		if err != nil {
			continue
		}
		p, err := probe.ReadProcess(pid)
		if err != nil {
			continue
		}
		s.mu.Lock()
		s.now = map[string]float64{
			"rss_bytes": float64(p.RSS), "fds": float64(p.FDs), "threads": float64(p.Threads),
			"heap_bytes": float64(heap.Alloc), "goroutines": metrics["go_goroutines"],
		}
		drift.Add(s.series, s.now)
		s.mu.Unlock()
	}
}

// judge breaks the promise that memory and descriptors do not grow.
func (s *soak) judge(l *life.Life) {
	for _, d := range s.drifts() {
		if d.Drifted {
			l.Journal.Break(history.Violation{Promise: history.Resources, Detail: fmt.Sprintf("%s drifted from %.0f to %.0f between the second quarter and the last", d.Name, d.From, d.To)})
		}
	}
}

// drifts are the growths of all figures that were read often enough.
func (s *soak) drifts() (all []Drift) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, series := range s.series {
		from, to, ok := series.Growth()
		if !ok {
			continue
		}
		d := Drift{Name: series.Name, Readings: len(series.Values), From: from, To: to, Drifted: series.Drifted(from, to, s.o.MaxDrift)}
		for _, v := range series.Values {
			d.Highest = max(d.Highest, v)
		}
		all = append(all, d)
	}
	return all
}
