package fleet

import (
	"maps"
	"sync"
)

// Fleet is a number of devices. Its methods may be called from any goroutine.
type Fleet struct {
	// Immutable after construction.
	cfg   Config
	loops []*loop

	// Guarded by mu.
	mu     sync.Mutex
	closed bool
}

// New makes the devices and starts the loops; nothing is dialled yet.
func New(cfg Config) (*Fleet, error) {
	cfg, to, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	f := &Fleet{cfg: cfg}
	for k := range cfg.Loops {
		from, end := cfg.Count*k/cfg.Loops, cfg.Count*(k+1)/cfg.Loops
		l, err := newLoop(cfg, to, cfg.First+from, end-from, cfg.First+k)
		if err != nil {
			for _, made := range f.loops {
				made.closeDescriptors()
			}
			return nil, err
		}
		f.loops = append(f.loops, l)
	}
	for _, l := range f.loops {
		go l.run()
	}
	return f, nil
}

// Do carries out an order and returns when all loops have begun it. Devices
// outside the fleet are ignored, so one order may go to several fleets.
func (f *Fleet) Do(o Order) error {
	o, err := o.withDefaults(f.cfg)
	if err != nil {
		return err
	}
	if o.To == 0 {
		o.To = f.cfg.First + f.cfg.Count
	}
	return f.onLoops(func(l *loop) {
		from, to := max(o.From-l.first, 0), min(o.To-l.first, len(l.conns))
		if from < to {
			l.obey(o, from, to)
		}
	})
}

// onLoops runs fn on each loop and waits for all.
func (f *Fleet) onLoops(fn func(l *loop)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return ErrClosed
	}
	f.onLoopsLocked(fn)
	return nil
}

func (f *Fleet) onLoopsLocked(fn func(l *loop)) {
	var wg sync.WaitGroup
	for _, l := range f.loops {
		wg.Add(1)
		l.post(func() {
			defer wg.Done()
			fn(l)
		})
	}
	wg.Wait()
}

// Snapshot is what a fleet has counted since New.
type Snapshot struct {
	Counts Counts
	// CloseCodes counts close frames by code; 1005 stands for no code.
	CloseCodes map[int]int64 `json:",omitempty"`
	// Statuses counts refusals by HTTP status.
	Statuses map[int]int64 `json:",omitempty"`
	// Reasons counts failed attempts and ends without a close frame by cause.
	Reasons map[string]int64 `json:",omitempty"`
	// FaultCodes counts error envelopes by code.
	FaultCodes map[string]int64 `json:",omitempty"`
	// LastReady and LastDownlink are Unix nanoseconds; 0 when there was none.
	LastReady, LastDownlink int64
	// Histograms are set when asked for.
	Histograms Histograms `json:"-"`
	// Encoded are the histograms on their way between processes.
	Encoded [][]byte `json:",omitempty"`
}

// Snapshot reads the counters, and copies the histograms when asked to.
func (f *Fleet) Snapshot(histograms bool) (Snapshot, error) {
	s := newSnapshot()
	var mu sync.Mutex
	err := f.onLoops(func(l *loop) {
		one := Snapshot{
			Counts:     l.counts,
			CloseCodes: l.tallies.close, Statuses: l.tallies.status,
			Reasons: l.tallies.reason, FaultCodes: l.tallies.fault,
			LastReady: l.tallies.lastReady, LastDownlink: l.tallies.lastDownlink,
		}
		if histograms {
			one.Histograms = l.hists.clone()
		}
		mu.Lock()
		defer mu.Unlock()
		s.Merge(one)
	})
	return s, err
}

func newSnapshot() Snapshot {
	return Snapshot{
		CloseCodes: make(map[int]int64), Statuses: make(map[int]int64),
		Reasons: make(map[string]int64), FaultCodes: make(map[string]int64),
	}
}

// Merge adds o, of another loop or another process.
func (s *Snapshot) Merge(o Snapshot) {
	s.Counts.Add(o.Counts)
	mergeTally(&s.CloseCodes, o.CloseCodes)
	mergeTally(&s.Statuses, o.Statuses)
	mergeTally(&s.Reasons, o.Reasons)
	mergeTally(&s.FaultCodes, o.FaultCodes)
	s.LastReady = max(s.LastReady, o.LastReady)
	s.LastDownlink = max(s.LastDownlink, o.LastDownlink)
	switch {
	case o.Histograms[0] == nil: // not asked for: they are a megabyte
	case s.Histograms[0] == nil:
		s.Histograms = o.Histograms.clone()
	default:
		s.Histograms.Merge(o.Histograms)
	}
}

func mergeTally[K comparable](into *map[K]int64, from map[K]int64) {
	if *into == nil {
		*into = maps.Clone(from)
		return
	}
	for k, v := range from {
		(*into)[k] += v
	}
}

// Close resets every connection, ends the loops and waits for them.
func (f *Fleet) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return ErrClosed
	}
	f.closed = true
	f.onLoopsLocked(func(l *loop) { l.stop = true })
	for _, l := range f.loops {
		<-l.done
	}
	return nil
}

// tallies are a loop's counts by open-ended keys.
type tallies struct {
	close, status           map[int]int64
	reason, fault           map[string]int64
	lastReady, lastDownlink int64
}

func newTallies() tallies {
	return tallies{
		close: make(map[int]int64), status: make(map[int]int64),
		reason: make(map[string]int64), fault: make(map[string]int64),
	}
}
