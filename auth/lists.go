package auth

import (
	"encoding/json"
	"fmt"
	"sync"
)

// maxLists is how many different lists of patterns, and combinations of them, are kept for
// sharing.
const maxLists = 1024

// patternLists shares equal lists among tokens: the tokens of a fleet mostly carry the
// same ones.
type patternLists struct {
	mu sync.Mutex

	// Guarded by mu.
	byText map[string]*Patterns // by their JSON
	rights map[Rights]*Rights
}

func newPatternLists() *patternLists {
	return &patternLists{byText: make(map[string]*Patterns), rights: make(map[Rights]*Rights)}
}

// of returns the patterns of a claim in a JSON text. text is borrowed until return.
func (l *patternLists) of(claim string, text []byte) (*Patterns, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p, ok := l.byText[string(text)]; ok {
		return p, nil
	}
	var items []*string // nil for null
	if err := json.Unmarshal(text, &items); err != nil || items == nil {
		return nil, fmt.Errorf("%s must be an array of strings", claim)
	}
	patterns := make(Patterns, len(items))
	for i, item := range items {
		if item == nil {
			return nil, fmt.Errorf("%s must be an array of strings", claim)
		}
		patterns[i] = *item
	}
	if err := CheckPatterns(claim, patterns); err != nil {
		return nil, err
	}
	makeRoom(l.byText)
	l.byText[string(text)] = &patterns
	return &patterns, nil
}

// rightsOf is r where other tokens with the same find it; nil if all is allowed.
func (l *patternLists) rightsOf(r Rights) *Rights {
	if r == (Rights{}) {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if known, ok := l.rights[r]; ok {
		return known
	}
	makeRoom(l.rights)
	kept := r // r itself stays on the stack
	l.rights[r] = &kept
	return &kept
}

// makeRoom drops one at random, as in cache, where there are as many as are kept.
func makeRoom[K comparable, V any](m map[K]V) {
	if len(m) < maxLists {
		return
	}
	for victim := range m {
		delete(m, victim)
		return
	}
}
