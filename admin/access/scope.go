package access

import (
	"errors"
	"fmt"
	"strings"
)

// Scope is one kind of thing that a token may allow. None includes another.
type Scope uint8

// The scopes.
const (
	_       Scope = iota // in no set, so that what names no scope is closed
	Metrics              // the series of the node
	Read                 // devices, bans, limits, the log: everything that changes nothing
	Command              // send commands to devices, close their connections
	Admin                // bans, limits, reload, drain, profiles of the process
	numScopes
)

// String is the word of the tokens file.
func (s Scope) String() string {
	return [numScopes]string{Metrics: "metrics", Read: "read", Command: "command", Admin: "admin"}[s]
}

// Scopes is a set of them.
type Scopes uint8

// AllScopes is what the node's own token has.
const AllScopes Scopes = 1<<numScopes - 1<<Metrics

// Has says whether the set has s.
func (s Scopes) Has(one Scope) bool { return s&(1<<one) != 0 }

// Words lists the set.
func (s Scopes) Words() (words []string) {
	for one := Metrics; one < numScopes; one++ {
		if s.Has(one) {
			words = append(words, one.String())
		}
	}
	return words
}

// String lists the set for people.
func (s Scopes) String() string { return strings.Join(s.Words(), ", ") }

var errNoScope = errors.New("no scopes: give some of " + AllScopes.String())

// ParseScopes is the set of the words given. One at least, each once.
func ParseScopes(words []string) (set Scopes, err error) {
	for _, word := range words {
		one := Metrics
		for one < numScopes && one.String() != word {
			one++
		}
		switch {
		case one == numScopes:
			return 0, fmt.Errorf("scope %.40q is not known: give some of %s", word, AllScopes)
		case set.Has(one):
			return 0, fmt.Errorf("scope %s is there twice: give each once", word)
		}
		set |= 1 << one
	}
	if set == 0 {
		return 0, errNoScope
	}
	return set, nil
}
