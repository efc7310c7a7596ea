package pace_test

import (
	"context"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"edgeloop/backbone/pace"
)

const (
	tick = 10 * time.Millisecond
	// usual is what an acknowledgement takes that nothing delays.
	usual = 5 * time.Millisecond
	// top is how many records a second one reader can read.
	top = 100_000
)

// plant is a node as readers and devices share it: how many records are read a second decides
// how long an acknowledgement takes.
type plant struct {
	// Immutable after construction.
	felt  func(readPerSecond float64) time.Duration
	pacer *pace.Pacer
	ctx   context.Context
	wait  sync.WaitGroup

	mu sync.Mutex
	// Guarded by mu.
	brings    float64 // records a second by devices; 0: they are idle
	stuck     bool    // nothing of it gets into the log
	end, read uint64
	last      uint64  // read, a tick ago
	recent    float64 // records a second that are read, of late
	acks      uint64
	took      time.Duration
	hurt      uint64 // acknowledgements that took longer than one and a half times of the usual
}

// newPlant makes one of a log of a million records, which works until stop.
func newPlant(brings float64, felt func(float64) time.Duration) (p *plant, stop func()) {
	p = &plant{felt: felt, brings: brings, end: 1_000_000}
	p.pacer = pace.New(pace.Signals{End: p.durable, Acks: p.acked})
	ctx, cancel := context.WithCancel(context.Background())
	p.ctx = ctx
	p.wait.Go(func() {
		for ; ctx.Err() == nil; time.Sleep(tick) {
			p.tick()
		}
	})
	return p, func() {
		cancel()
		p.wait.Wait()
	}
}

func (p *plant) tick() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.stuck {
		p.end += uint64(p.brings * tick.Seconds())
	}
	p.recent += (float64(p.read-p.last)/tick.Seconds() - p.recent) / 5
	p.last = p.read
	if p.brings == 0 || p.stuck {
		return
	}
	took := p.felt(p.recent)
	p.acks += 4
	p.took += 4 * took
	if took > usual*3/2 {
		p.hurt += 4
	}
}

func (p *plant) durable() (uint64, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.end, true
}

func (p *plant) acked() (uint64, time.Duration, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.acks, p.took, p.brings > 0
}

// suffered is how many acknowledgements took too long so far, and how many there were.
func (p *plant) suffered() (hurt, acks float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return float64(p.hurt), float64(p.acks)
}

// hurts is how many of the acknowledgements took too long.
func (p *plant) hurts() float64 {
	hurt, acks := p.suffered()
	return hurt / acks
}

func (p *plant) bring(perSecond float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.brings = perSecond
}

// runner is a reader of the plant.
type runner struct {
	mu sync.Mutex
	// Guarded by mu.
	at uint64
}

func (r *runner) position() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.at
}

// reads has a reader go on behind a position.
func (p *plant) reads(name string, position uint64) *runner {
	r := &runner{at: position}
	p.wait.Go(func() {
		turn := p.pacer.Turn(name)
		defer turn.End()
		for p.ctx.Err() == nil {
			end, _ := p.durable()
			n := min(100, end-r.position())
			for i := range n {
				if turn.Wait(p.ctx, r.position()+i+1) != nil {
					return
				}
			}
			p.mu.Lock()
			p.read += n
			p.mu.Unlock()
			r.mu.Lock()
			r.at += n
			r.mu.Unlock()
			time.Sleep(max(time.Millisecond, time.Duration(n)*time.Second/top))
		}
	})
	return r
}

// behind is how far a reader is from the end.
func (p *plant) behind(r *runner) uint64 {
	at := r.position() // before the end, which it does not pass
	end, _ := p.durable()
	return end - at
}

// calm is a node to which readers do nothing.
func calm(float64) time.Duration { return usual }

// tired is one that has 60,000 records a second read without being slower for devices.
func tired(perSecond float64) time.Duration {
	return usual + time.Duration(max(0, perSecond-60_000)/10_000*float64(2*time.Millisecond))
}

// Devices that bring 10,000 records a second do not feel that a reader catches up: it goes as
// fast as they do not mind, which is more than they bring.
func TestPacer_DevicesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, stop := newPlant(10_000, tired)
		defer stop()
		r := p.reads("sink:a", 0)
		time.Sleep(10 * time.Second)
		if got := r.position(); got < 300_000 || got > 700_000 {
			t.Errorf("it came to %d within 10 s", got)
		}
		if hurt := p.hurts(); hurt > 0.1 { // until the rate is found
			t.Errorf("%.2f of the acknowledgements took too long", hurt)
		}
		if rate := p.pacer.Rate("sink:a"); rate < 15_000 || rate > 100_000 || p.pacer.Rate("sink:b") != 0 {
			t.Errorf("the rate is %.0f a second", rate)
		}
	})
}

// What the mean hardly shows is much for the slowest acknowledgements: who catches up stays where
// the mean is an eighth longer, and does not go where it is a fifth.
func TestPacer_MindsSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, stop := newPlant(10_000, func(perSecond float64) time.Duration {
			return usual + time.Duration(perSecond/top*float64(usual)/5)
		})
		defer stop()
		r := p.reads("sink:a", 0)
		time.Sleep(3 * time.Second) // until the rate is found
		was := r.position()
		time.Sleep(5 * time.Second)
		if got := r.position() - was; got < 5*25_000 || got > 5*70_000 {
			t.Errorf("it read %d in 5 s", got)
		}
	})
}

// What devices feel is seen late, so who catches up begins with little and takes its time, however
// little devices mind.
func TestPacer_BeginsSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, stop := newPlant(10_000, calm)
		defer stop()
		r := p.reads("sink:a", 0)
		for second := range 4 {
			was := r.position()
			time.Sleep(time.Second)
			if got := r.position() - was; got > uint64(12_500*math.Pow(1.3, float64(second+1))) { //nolint:gosec // small
				t.Errorf("in second %d it read %d", second, got)
			}
		}
	})
}

// One rest in which acknowledgements were quicker, or slower, than in others is no measure: what
// they take when readers are at work is the same all the time.
func TestPacer_OneRestIsNoMeasure(t *testing.T) {
	for name, odd := range map[string]time.Duration{"quicker": usual / 3, "slower": 6 * usual} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rests, resting := 0, false
				p, stop := newPlant(10_000, func(perSecond float64) time.Duration {
					switch {
					case perSecond >= 5_000:
						resting = false
					case !resting:
						rests, resting = rests+1, true
					case rests%3 == 2:
						return odd
					}
					return tired(perSecond)
				})
				defer stop()
				r := p.reads("sink:a", 0)
				time.Sleep(12 * time.Second) // until the rate is found
				was := r.position()
				hurtBefore, acksBefore := p.suffered()
				time.Sleep(15 * time.Second)
				if got := r.position() - was; got < 15*40_000 {
					t.Errorf("it read %d in 15 s", got)
				}
				if hurt, acks := p.suffered(); hurt-hurtBefore > (acks-acksBefore)/10 {
					t.Errorf("%.0f of %.0f acknowledgements took too long", hurt-hurtBefore, acks-acksBefore)
				}
			})
		})
	}
}

// Two that catch up at a time share what devices do not mind, evenly.
func TestPacer_SeveralShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, stop := newPlant(10_000, tired)
		defer stop()
		a, b := p.reads("sink:a", 0), p.reads("sink:b", 0)
		time.Sleep(10 * time.Second)
		if hurt := p.hurts(); hurt > 0.1 { // until the rate is found
			t.Errorf("%.2f of the acknowledgements took too long", hurt)
		}
		if a, b := a.position(), b.position(); a < 150_000 || b < 150_000 || a > 350_000 || b > 350_000 {
			t.Errorf("they came to %d and %d within 10 s", a, b)
		}
	})
}

// However much devices suffer, from it or not: who catches up comes nearer, until it is there.
func TestPacer_Floor(t *testing.T) {
	worse := time.Duration(0)
	for name, felt := range map[string]func(float64) time.Duration{
		"every record hurts": func(perSecond float64) time.Duration { return usual + time.Duration(perSecond)*time.Microsecond },
		"worse and worse":    func(float64) time.Duration { worse += time.Millisecond; return usual + worse },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, stop := newPlant(10_000, felt)
				defer stop()
				a, b := p.reads("sink:a", 930_000), p.reads("sink:b", 930_000)
				for range 8 {
					was := []uint64{p.behind(a), p.behind(b)}
					time.Sleep(3 * time.Second)
					const near, nearer = 5_000, 2_000 // with a rest in between
					if was[0] > near && p.behind(a)+nearer > was[0] || was[1] > near && p.behind(b)+nearer > was[1] {
						t.Fatalf("they were %d behind, and are %d and %d", was, p.behind(a), p.behind(b))
					}
				}
				time.Sleep(10 * time.Second)
				if a, b := p.behind(a), p.behind(b); a > 1_000 || b > 1_000 {
					t.Errorf("they are %d and %d behind in the end", a, b)
				}
				if rate := p.pacer.Rate("sink:a"); rate != 0 {
					t.Errorf("one that is there is held to %.0f a second", rate)
				}
			})
		})
	}
}

// Without devices nothing is slowed down, and as soon as they are gone nothing is any more.
func TestPacer_FullSpeedForIdleDevices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, stop := newPlant(0, calm)
		defer stop()
		r := p.reads("sink:a", 0)
		time.Sleep(3 * time.Second)
		if got := r.position(); got < 250_000 || p.pacer.Rate("sink:a") != 0 {
			t.Errorf("it came to %d within 3 s, at a rate of %.0f", got, p.pacer.Rate("sink:a"))
		}
		p.bring(10_000)
		time.Sleep(2 * time.Second)
		if p.pacer.Rate("sink:a") == 0 {
			t.Error("devices came, and it has no rate")
		}
		p.bring(0)
		time.Sleep(time.Second)
		was := r.position()
		time.Sleep(time.Second)
		if got := r.position() - was; got < top*9/10 {
			t.Errorf("devices went, and it read %d in a second", got)
		}
	})
}

// Devices that wait and get nothing are not idle.
func TestPacer_StuckIsNotIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, stop := newPlant(10_000, tired)
		defer stop()
		r := p.reads("sink:a", 0)
		time.Sleep(2 * time.Second)
		p.mu.Lock()
		p.stuck = true
		p.mu.Unlock()
		time.Sleep(2 * time.Second) // until it has been seen
		was := r.position()
		time.Sleep(2 * time.Second)
		if got := r.position() - was; got > 70_000 {
			t.Errorf("it read %d in 2 s while devices waited", got)
		}
	})
}

// Where devices do not mind, who catches up is as fast as it can, but for moments of rest.
func TestPacer_FullSpeedWhereNobodyMinds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, stop := newPlant(10_000, calm)
		defer stop()
		r := p.reads("sink:a", 0)
		time.Sleep(12 * time.Second)
		was := r.position()
		time.Sleep(5 * time.Second)
		if got := r.position() - was; got < 5*top*8/10 {
			t.Errorf("it read %d in 5 s", got)
		}
	})
}

// Who is at the end is never held up, nor is who was held up elsewhere for a moment, whatever
// the acknowledgements take and whoever catches up beside it.
func TestPacer_TheEndIsNotSlowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, stop := newPlant(20_000, tired)
		defer stop()
		p.reads("sink:late", 0)
		r := p.reads("sink:a", 1_000_000)
		most := uint64(0)
		for range 300 {
			time.Sleep(tick)
			most = max(most, p.behind(r))
		}
		if most > 2_000 {
			t.Errorf("it was %d records behind", most)
		}
		late := p.reads("sink:b", r.position()-35_000) // held up for 1.75 s
		time.Sleep(600 * time.Millisecond)
		if behind := p.behind(late); behind > 2_000 {
			t.Errorf("one that had been held up is %d behind after 0.6 s", behind)
		}
	})
}

// Who waits ends when its context does.
func TestPacer_EndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, stop := newPlant(1_000, func(perSecond float64) time.Duration { return usual + time.Duration(perSecond)*time.Millisecond })
		p.reads("sink:a", 0)
		time.Sleep(5 * time.Second)
		began := time.Now()
		stop()
		if took := time.Since(began); took > tick {
			t.Errorf("it took %s", took)
		}
	})
}
