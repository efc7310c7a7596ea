package jwks

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// Config says whose keys are fetched.
type Config struct {
	URL string // as CheckURL allows it
	// Networks are those whose private addresses the host of URL may have.
	Networks []netip.Prefix
	// RootCAs are who may have signed the server's certificate (default the system's).
	RootCAs *x509.CertPool
	// MaxStale is for how long keys are good while the server does not answer. Too short:
	// an outage there keeps devices out here.
	MaxStale time.Duration
	// MaxBody bounds an answer, bytes.
	MaxBody int64
	// Use takes a new set, borrowed until return; changed says whether it has other keys.
	Use func(body []byte) (changed bool, left []string, err error)
	// Drop is called when the keys are older than MaxStale.
	Drop   func()
	Logger *zap.Logger
}

// An Outcome is how a fetch ended.
type Outcome uint8

// The outcomes.
const (
	Changed  Outcome = iota // with other keys than before
	Same                    // with the same keys
	Failed                  // the server did not answer, or not with a document
	Unusable                // the document is no set of keys that can be used
	NumOutcomes
)

// String is the outcome as metrics have it.
func (o Outcome) String() string {
	return [NumOutcomes]string{"changed", "same", "failed", "unusable"}[o]
}

// Source is one server.
type Source struct {
	// Immutable after construction.
	cfg  Config
	url  *url.URL
	http *http.Client

	// Safe for concurrent use.
	ask   chan struct{} // capacity 1: fetch now
	first chan struct{} // closed after the first fetch
	once  sync.Once

	// Owned by the goroutine of Run.
	failures int // in a row
	left     string

	mu sync.Mutex

	// Guarded by mu.
	asked          time.Time // when Asked last had it fetched
	good           time.Time // when the keys in force came; zero: there are none
	err            error     // of the last fetch
	wanted, served uint64    // how many fetches were asked for, and how many of those have ended

	// Atomic.
	outcomes [NumOutcomes]atomic.Uint64
}

// New checks the address and asks nobody yet.
func New(cfg Config) (*Source, error) {
	u, err := CheckURL(cfg.URL)
	if err != nil {
		return nil, err
	}
	s := &Source{cfg: cfg, url: u, ask: make(chan struct{}, 1), first: make(chan struct{})}
	s.http = s.client()
	return s, nil
}

// Run fetches the keys, at once and then whenever they may have changed, until ctx ends.
func (s *Source) Run(ctx context.Context) {
	next := time.Now()
	for {
		if time.Until(next) <= 0 {
			next = time.Now().Add(s.fetch(ctx))
		}
		s.drop()
		wait := time.NewTimer(min(max(time.Until(next), 0), s.leftOfKeys(), lookEvery))
		select {
		case <-ctx.Done():
			wait.Stop()
			return
		case <-wait.C:
		case <-s.ask:
			wait.Stop()
			next = time.Now()
		}
	}
}

// Asked has the keys fetched because a token names one that is not there; any goroutine,
// it does not block. It does so once in askedEvery at most. coming says that the last word
// on the token is not spoken: an answer is on its way, or the server gives none.
func (s *Source) Asked() (coming bool) {
	s.mu.Lock()
	now := time.Now()
	may := s.asked.IsZero() || now.Sub(s.asked) >= askedEvery
	if may {
		s.asked = now
	}
	coming = may || s.good.IsZero() || s.err != nil || s.served < s.wanted
	s.mu.Unlock()
	if may {
		s.Fetch()
	}
	return coming
}

// Fetch has the keys fetched now; any goroutine, it does not wait for them.
func (s *Source) Fetch() {
	s.mu.Lock()
	s.wanted++
	s.mu.Unlock()
	select {
	case s.ask <- struct{}{}:
	default:
	}
}

// First is closed once the first fetch has ended, however it did.
func (s *Source) First() <-chan struct{} { return s.first }

// fetch fetches once and says when to do so again.
func (s *Source) fetch(ctx context.Context) (next time.Duration) {
	defer s.once.Do(func() { close(s.first) })
	s.mu.Lock()
	serves := s.wanted
	s.mu.Unlock()
	o, next, err := s.tryOnce(ctx)
	if err != nil {
		s.failures++
		next = retryIn(s.failures)
	}
	s.outcomes[o].Add(1)
	s.mu.Lock()
	s.err, s.served = err, serves
	if err == nil {
		s.good = time.Now()
	}
	s.mu.Unlock()
	switch {
	case err == nil && (o == Changed || s.failures > 0):
		s.cfg.Logger.Info("the keys of tokens were fetched", zap.String("host", s.url.Host), zap.Stringer("outcome", o))
	case err != nil && s.failures == 1 && ctx.Err() == nil:
		s.cfg.Logger.Warn("the keys of tokens cannot be fetched, those before stay in force for now", zap.String("host", s.url.Host), zap.Duration("max_stale", s.cfg.MaxStale), zap.Error(err))
	}
	if err == nil {
		s.failures = 0
	}
	return next
}

func (s *Source) tryOnce(ctx context.Context) (o Outcome, goodFor time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url.String(), nil)
	if err != nil {
		return Failed, 0, errors.New("the address is malformed") // the error would quote it
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	body, goodFor, err := s.get(req)
	if err != nil {
		return Failed, 0, err
	}
	changed, left, err := s.cfg.Use(body)
	if err != nil {
		return Unusable, 0, err
	}
	if said := fmt.Sprint(left); len(left) > 0 && said != s.left {
		s.left = said
		s.cfg.Logger.Info("some keys of the set are not used", zap.String("host", s.url.Host), zap.Strings("keys", left))
	}
	if changed {
		return Changed, goodFor, nil
	}
	return Same, goodFor, nil
}

// drop lets go of keys that are too old.
func (s *Source) drop() {
	s.mu.Lock()
	over := !s.good.IsZero() && sinceBoth(s.good) >= s.cfg.MaxStale
	if over {
		s.good = time.Time{}
	}
	err := s.err
	s.mu.Unlock()
	if over {
		s.cfg.Drop()
		s.cfg.Logger.Error("the keys of tokens are older than --jwks-max-stale and no longer in force: no device with such a token is let in until they can be fetched",
			zap.String("host", s.url.Host), zap.Error(err))
	}
}

// leftOfKeys is for how long the keys are good.
func (s *Source) leftOfKeys() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.good.IsZero() {
		return lookEvery
	}
	return max(s.cfg.MaxStale-sinceBoth(s.good), 0)
}

// Stats is what a Source has done.
type Stats struct {
	Outcomes [NumOutcomes]uint64
	Age      time.Duration // of the keys in force
	Known    bool          // there are keys in force
	Err      error         // of the last fetch; nil: it was good
}

// Stats may be called from any goroutine.
func (s *Source) Stats() (st Stats) {
	for o := range st.Outcomes {
		st.Outcomes[o] = s.outcomes[o].Load()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st.Known, st.Err = !s.good.IsZero(), s.err
	if st.Known {
		st.Age = sinceBoth(s.good)
	}
	return st
}
