package jwks_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"edgeloop/auth/jwks"
)

// server is what a Source speaks to, without a network.
type server struct {
	mu sync.Mutex

	// Guarded by mu.
	body  string
	cache string // Cache-Control
	down  bool
	takes time.Duration
	asked int
}

func (s *server) RoundTrip(req *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.asked++
	body, cache, down, takes := s.body, s.cache, s.down, s.takes
	s.mu.Unlock()
	select {
	case <-time.After(takes):
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
	if down {
		return nil, errors.New("no route to the server")
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Cache-Control": {cache}}, Body: io.NopCloser(strings.NewReader(body)), Request: req}, nil
}

func (s *server) set(change func(*server)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

func (s *server) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// ring takes sets, which here are any text but "bad".
type ring struct {
	mu sync.Mutex

	// Guarded by mu.
	set     string
	dropped int
}

func (r *ring) use(body []byte) (changed bool, left []string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if string(body) == "bad" {
		return false, nil, errors.New("no set")
	}
	changed, r.set = r.set != string(body), string(body)
	return changed, nil, nil
}

func (r *ring) drop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.set = ""
	r.dropped++
}

func (r *ring) now() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.set
}

// startSource runs a Source in the bubble of t, where time costs nothing.
func startSource(t *testing.T) (s *jwks.Source, from *server, keys *ring) {
	t.Helper()
	from, keys = &server{body: "one"}, &ring{}
	s, err := jwks.New(jwks.Config{
		URL: "https://id.example/certs", MaxStale: 3 * time.Hour, MaxBody: 1 << 10,
		Use: keys.use, Drop: keys.drop, Logger: zap.NewNop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	s.SetTransport(from)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	<-s.First()
	return s, from, keys
}

// The keys are fetched at once and again after 15 minutes, or as the server says.
func TestSource_FetchesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, from, keys := startSource(t)
		if keys.now() != "one" {
			t.Fatalf("after the first fetch the keys are %q", keys.now())
		}
		from.set(func(s *server) { s.body, s.cache = "two", "public, max-age=600" })
		time.Sleep(14 * time.Minute)
		synctest.Wait()
		if from.count() != 1 || keys.now() != "one" {
			t.Errorf("before their time the keys were fetched %d times and are %q", from.count(), keys.now())
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if from.count() != 2 || keys.now() != "two" {
			t.Errorf("after their time the keys were fetched %d times and are %q", from.count(), keys.now())
		}
		time.Sleep(11 * time.Minute)
		synctest.Wait()
		if from.count() != 3 {
			t.Errorf("with max-age=600 they were fetched %d times", from.count())
		}
	})
}

// An outage: the keys are good for MaxStale and not a minute longer, the server is asked
// again and again meanwhile, and its first answer brings the keys back.
func TestSource_Outage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, from, keys := startSource(t)
		from.set(func(s *server) { s.down = true })
		time.Sleep(3*time.Hour - time.Minute)
		synctest.Wait()
		if st := s.Stats(); keys.now() != "one" || !st.Known || st.Err == nil {
			t.Errorf("before the keys are too old they are %q, %+v", keys.now(), st)
		}
		if n := from.count(); n < 100 || n > 400 {
			t.Errorf("in three hours the server was asked %d times", n)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if st := s.Stats(); keys.now() != "" || keys.dropped != 1 || st.Known {
			t.Errorf("when the keys are too old they are %q, dropped %d times, %+v", keys.now(), keys.dropped, st)
		}
		if !s.Asked() {
			t.Error("without keys a token is refused for good")
		}
		from.set(func(s *server) { s.down = false })
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if st := s.Stats(); keys.now() != "one" || !st.Known || st.Err != nil || st.Age > 2*time.Minute {
			t.Errorf("after the outage the keys are %q, %+v", keys.now(), st)
		}
	})
}

// An answer that is no set changes nothing.
func TestSource_Unusable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, from, keys := startSource(t)
		for _, body := range []string{"bad", strings.Repeat("x", 1<<10+1)} {
			from.set(func(s *server) { s.body = body })
			s.Fetch()
			time.Sleep(time.Second)
			synctest.Wait()
			if st := s.Stats(); keys.now() != "one" || st.Err == nil {
				t.Errorf("after an answer of %d bytes the keys are %q, %+v", len(body), keys.now(), st)
			}
		}
		if st := s.Stats(); st.Outcomes[jwks.Unusable] != 1 || st.Outcomes[jwks.Failed] != 1 {
			t.Errorf("outcomes %v", st.Outcomes)
		}
	})
}

// A flood of tokens with made-up names of keys has the server asked once a minute, and
// while nobody is being asked they are refused for good.
func TestSource_FloodOfUnknownKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, from, _ := startSource(t)
		from.set(func(s *server) { s.takes = time.Second })
		pending := 0
		for range 10 * 60 { // ten a second, for a minute
			if s.Asked() {
				pending++
			}
			time.Sleep(100 * time.Millisecond)
		}
		synctest.Wait()
		if n := from.count() - 1; n != 1 {
			t.Errorf("600 tokens in a minute had the server asked %d times", n)
		}
		if pending < 5 || pending > 15 {
			t.Errorf("%d tokens were told to come back, the answer took one second", pending)
		}
		time.Sleep(time.Minute)
		if !s.Asked() {
			t.Error("a minute later nobody is asked")
		}
	})
}

// What came while a fetch was under way is answered by another one: the first may have
// been read before the key was there.
func TestSource_AskedDuringAFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, from, keys := startSource(t)
		from.set(func(s *server) { s.takes = time.Second })
		s.Fetch()
		time.Sleep(500 * time.Millisecond)
		from.set(func(s *server) { s.body = "two" })
		if !s.Asked() {
			t.Error("nobody is asked")
		}
		time.Sleep(700 * time.Millisecond) // the first has ended
		synctest.Wait()
		if !s.Asked() {
			t.Error("the second fetch runs, and the token is refused for good")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if keys.now() != "two" || s.Asked() {
			t.Errorf("after the second fetch the keys are %q", keys.now())
		}
	})
}

func TestFreshFor(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"": 15 * time.Minute, "max-age=120": 2 * time.Minute, "public, Max-Age=\"300\", must-revalidate": 5 * time.Minute,
		"max-age=0": time.Minute, "no-store": time.Minute, "max-age=31536000": time.Hour, "max-age=-1": 15 * time.Minute,
		"max-age=99999999999999999999": 15 * time.Minute, "private": 15 * time.Minute,
	} {
		if got := jwks.FreshFor(http.Header{"Cache-Control": {header}}); got != want {
			t.Errorf("%q: %s, want %s", header, got, want)
		}
	}
}
