package grpcapi

import "sync"

// places bounds what is served at a time, of all tokens and of each.
type places struct {
	// Immutable after construction.
	most, ofEach int

	mu sync.Mutex
	// Guarded by mu.
	taken   int
	byToken map[string]int // names of those who have some
}

func newPlaces(most, ofEach int) *places {
	return &places{most: most, ofEach: ofEach, byToken: map[string]int{}}
}

// take takes a place for a token, until the caller calls leave. No leave: there is none,
// as many as bound are taken.
func (p *places) take(token string) (leave func(), bound int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.byToken[token] >= p.ofEach:
		return nil, p.ofEach
	case p.taken >= p.most:
		return nil, p.most
	}
	p.taken++
	p.byToken[token]++
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.taken--
		if p.byToken[token]--; p.byToken[token] == 0 {
			delete(p.byToken, token)
		}
	}, 0
}

func (p *places) inUse() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken
}
