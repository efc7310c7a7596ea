package auth

import (
	"fmt"
	"slices"
)

// SetKeys puts a JSON Web Key Set in force, beside the keys of the files and in place of
// the set before. changed says whether it has other keys than that one: then every
// verified token is forgotten. left says, one line a key, which keys cannot be used. After
// an error the set before stays in force. b is borrowed until return.
func (v *Verifier) SetKeys(b []byte) (changed bool, left []string, err error) {
	if len(b) > MaxKeySet {
		return false, nil, fmt.Errorf("key set of more than %d bytes", MaxKeySet)
	}
	keys, left, err := parseKeySet(b)
	if err != nil {
		return false, left, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	same := func(a, b key) bool { return a.algorithm == b.algorithm && a.name == b.name && a.print == b.print }
	if slices.EqualFunc(keys, v.set, same) {
		return false, left, nil
	}
	v.set = keys
	v.trustLocked()
	return true, left, nil
}

// DropKeys takes the set of SetKeys out of force: it is too old to go by.
func (v *Verifier) DropKeys() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.set = nil
	v.trustLocked()
}

// trustLocked puts the keys there are in force.
func (v *Verifier) trustLocked() {
	v.trust.Store(&trust{
		keys: slices.Concat(v.files, v.set), asked: v.cfg.AskKeys != nil, known: len(v.set),
		cache: newCache(v.cfg.CacheSize), bad: newCache(badTokens),
	})
}

// unheard reports whether t, which no key has confirmed, may be of a key that SetKeys will
// bring: it names one that nobody has, or there is no set now.
func (r *trust) unheard(t *token) bool {
	return r.asked && dearAlgorithms[t.algorithm] && (r.known == 0 || t.kid != "" && !t.named(r.keys))
}

// ask asks for the set again. Without an answer on its way, refusal stands.
func (v *Verifier) ask(refusal error) error {
	if !v.cfg.AskKeys() {
		return refusal
	}
	return ErrKeys
}

// dearAlgorithms are those that a key of a set may have. Never written.
var dearAlgorithms = func() map[string]bool {
	all := map[string]bool{"EdDSA": true}
	for _, c := range curves {
		all[c.method.Alg()] = true
	}
	for _, method := range rsaMethods {
		all[method.Alg()] = true
	}
	return all
}()
