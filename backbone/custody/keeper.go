package custody

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// Policy says what a node does about damage about which nobody has decided.
type Policy uint8

const (
	// Unready starts the node, which stays not ready until somebody decides.
	Unready Policy = iota
	// Stop does not start the node.
	Stop
	// Serve decides to go on: the damage is reported and accepted.
	Serve

	numPolicies
)

var policyNames = [numPolicies]string{"unready", "stop", "serve"}

// String returns the word of the --on-damage flag.
func (p Policy) String() string {
	if p < numPolicies {
		return policyNames[p]
	}
	return "unknown"
}

// Options say where a log lies and what its keeper is to do.
type Options struct {
	Dir      string        // the data directory: mark, manifest, reports and copies
	Streams  string        // the store's folder of streams
	Log      string        // the stream that is the log
	Others   []string      // the streams beside it
	Lax      bool          // records are acknowledged before they are synced
	MaxBytes int64         // retention, as it will be; 0: none
	MaxAge   time.Duration // retention, as it will be; 0: none
	OnDamage Policy
	Logger   *zap.Logger
}

// Keeper watches over an open log: it keeps the mark of what was acknowledged, looks at the
// blocks in the background, and knows the damage about which nobody has decided.
type Keeper struct {
	// Immutable after construction.
	o       Options
	mark    *markFile
	made    bool // the log is to be made
	adopted bool // it had no mark
	told    bool // its end was found missing before the store opened it

	mu sync.Mutex
	// Guarded by mu.
	man     manifest
	reports []Report // that nobody has decided about
	opened  bool     // what is found from now on nobody has decided about
	strange string   // the identity of another log that stands in its place
	cut     bool     // it was found to end too early

	// Atomic.
	shown                        atomic.Pointer[Error] // of the reports; nil: none
	last                         atomic.Uint64         // as in the mark
	failing                      atomic.Bool           // the mark cannot be written
	counts                       [NumKinds]atomic.Uint64
	read, passes, lastPass, took atomic.Uint64 // of the patrol; bytes, number, Unix and nanoseconds
}

// Open checks the log before the store opens it, because the store repairs in silence. It
// copies and reports what is damaged, then does what o.OnDamage says. It returns an *Error
// if nobody has decided and the policy is Stop. If ctx ends while the log is read, nothing
// was changed.
func Open(ctx context.Context, o Options) (*Keeper, error) {
	c := &check{o: &o}
	if err := c.run(ctx); err != nil {
		return nil, fmt.Errorf("check the log: %w", err)
	}
	slices.SortStableFunc(c.damages, func(a, b Damage) int { return int(b.Records) - int(a.Records) }) //nolint:gosec // an order
	k := &Keeper{o: o, made: c.fresh, adopted: c.adopted}
	for i := range c.damages {
		k.told = k.told || c.damages[i].Kind == NoStream || c.damages[i].Kind == Short
	}
	if err := k.decide(c); err != nil {
		return nil, err
	}
	if c.fresh || c.adopted && c.mark.log == "" {
		c.mark.log = newIdentity()
	}
	if c.adopted {
		c.mark.last = 0 // until what is there is on the disk, see Opened
	}
	c.mark.lax, c.mark.clean = o.Lax, false
	var err error
	if k.mark, err = openMark(o.Dir, c.mark, c.turn); err != nil {
		return nil, fmt.Errorf("keep the mark of the log: %w", err)
	}
	switch {
	case c.fresh:
	case c.adopted:
		o.Logger.Info("the log had no mark of what was acknowledged, one is kept from now on", zap.String("log", c.mark.log), zap.Uint64("last", c.top))
	default:
		o.Logger.Debug("the log was checked", zap.String("log", c.mark.log), zap.Int("blocks", len(c.list)), zap.Int("read", c.read))
	}
	k.man = c.man
	k.man.Log = c.mark.log
	k.man.MaxBytes, k.man.MaxAge = tighter(c.man.MaxBytes, o.MaxBytes), tighter(c.man.MaxAge, o.MaxAge)
	k.man.Blocks = nil
	for _, b := range c.list {
		k.man.put(b.blockInfo)
	}
	if err := k.man.write(o.Dir); err != nil {
		return nil, errors.Join(fmt.Errorf("write what is known of the log: %w", err), k.mark.f.Close())
	}
	return k, nil
}

// tighter returns the bound that takes more away; 0 is none.
func tighter[T int64 | time.Duration](a, b T) T {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// decide reports what was found, follows the policy, and heals. Open calls it, before k is
// shared.
func (k *Keeper) decide(c *check) error {
	for i := range c.lapses {
		k.o.Logger.Warn("a loss of power took acknowledged records", zap.Stringer("damage", &c.lapses[i]))
		k.counts[c.lapses[i].Kind].Add(1)
	}
	if news := k.unheard(c.damages); len(news) > 0 {
		r, err := file(k.o.Dir, news, c.files, false)
		if err != nil {
			return fmt.Errorf("the log is damaged (%s), and that cannot be recorded: %w", news[0].String(), err)
		}
		k.say(news, r)
	}
	all, err := Reports(k.o.Dir)
	if err != nil {
		return err
	}
	for i := range all {
		if all[i].Accepted != nil {
			continue
		}
		if k.o.OnDamage != Serve {
			k.reports = append(k.reports, all[i])
			if all[i].Applied {
				k.o.Logger.Error("the log is damaged and waits for an operator's decision", zap.String("report", all[i].path))
			}
		} else if err := all[i].accept(); err != nil {
			return err
		} else {
			k.o.Logger.Warn("going on with a damaged log, as decided", zap.String("report", all[i].path))
		}
	}
	k.recountLocked()
	if len(k.reports) > 0 && k.o.OnDamage == Stop {
		return k.Undecided()
	}
	// Also what is on record since the patrol found it.
	if err := c.heal(); err != nil {
		return fmt.Errorf("keep the rest of a damaged log: %w", err)
	}
	for i := range c.damages {
		if d := &c.damages[i]; d.From > 0 && d.Stream == k.o.Log && d.Kind != NoStream {
			c.man.addGaps(span{d.From, d.To})
		}
	}
	for i := range all {
		if !all[i].Applied {
			all[i].Applied = true
			if err := all[i].write(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (k *Keeper) say(damages []Damage, r *Report) {
	for i := range damages {
		k.counts[damages[i].Kind].Add(1)
		k.o.Logger.Error("the log is damaged", zap.Stringer("damage", &damages[i]), zap.String("copies", r.Folder()))
	}
}

// recountLocked updates what Undecided returns.
func (k *Keeper) recountLocked() {
	if len(k.reports) == 0 {
		k.shown.Store(nil)
		return
	}
	e := new(Error)
	for i := range k.reports {
		e.Damages = append(e.Damages, k.reports[i].Damages...)
		e.Copies = append(e.Copies, k.reports[i].Folder())
	}
	k.shown.Store(e)
}

// Undecided returns an *Error with the damage about which nobody has decided, or nil. Any
// goroutine may call it.
func (k *Keeper) Undecided() error {
	if e := k.shown.Load(); e != nil {
		return e
	}
	return nil
}

// identityLength is the length of a log's identity: 40 bits.
const identityLength = 8

func newIdentity() string { return strings.ToLower(rand.Text()[:identityLength]) }

// IdentityOf returns the identity of a log that was given none: it follows from the time of
// creation.
func IdentityOf(created time.Time) string {
	sum := sha256.Sum256([]byte(created.UTC().Format(time.RFC3339Nano)))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:])[:identityLength])
}

// Advance notes that records up to last are durable. The writer of the log calls it before
// they are acknowledged.
func (k *Keeper) Advance(last uint64) {
	k.mark.m.last = last
	k.last.Store(last)
	err := k.mark.write()
	if (err != nil) != k.failing.Load() {
		k.failing.Store(err != nil)
		if err != nil { // the mark then claims less than there is
			k.o.Logger.Warn("the mark of what was acknowledged cannot be written", zap.Error(err))
		}
	}
}

// Trimming notes, on the disk, that all before a position is about to be removed because
// somebody wants that. Any goroutine may call it.
func (k *Keeper) Trimming(first uint64) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.man.First = max(k.man.First, first)
	return k.man.write(k.o.Dir)
}

// Stats holds counters since Open and present values.
type Stats struct {
	Found     [NumKinds]uint64 // damages
	Undecided uint64           // records that are missing in damage nobody has decided about
	Damaged   bool             // there is such damage
	Read      uint64           // bytes the patrol has read
	Passes    uint64           // times it has been everywhere
	LastPass  time.Time        // when it last had; zero: not yet
	PassTook  time.Duration    // how long that took
}

// Stats returns the counters. Any goroutine may call it.
func (k *Keeper) Stats() (s Stats) {
	for i := range s.Found {
		s.Found[i] = k.counts[i].Load()
	}
	if e := k.shown.Load(); e != nil {
		s.Damaged = true
		for i := range e.Damages {
			s.Undecided += e.Damages[i].Records
		}
	}
	s.Read, s.Passes, s.PassTook = k.read.Load(), k.passes.Load(), time.Duration(k.took.Load()) //nolint:gosec // a duration
	if at := k.lastPass.Load(); at > 0 {
		s.LastPass = time.Unix(int64(at), 0) //nolint:gosec // a time
	}
	return s
}
