package presence

import (
	"time"

	"edgeloop/sink/keys"
)

// MaxBoards is how many boards a node may have.
const MaxBoards = 4

// Spec is one board as it is configured.
type Spec struct {
	Name, Type string
	TTL        time.Duration // of a key
	Target     Target
}

// A Kind makes a target of its keys: it reads the ones it knows and connects to nothing. ttl is
// the time to live of what it sets. What is wrong with the keys it leaves to keys.Map.Fail.
type Kind func(m *keys.Map, ttl time.Duration) Target

// Parse reads the list of boards of the configuration file. It says all that is wrong with it.
func Parse(list []any, kinds map[string]Kind) ([]Spec, error) {
	return keys.ReadList("presence", MaxBoards, list, "board", func(name string, m *keys.Map) (Spec, error) {
		s := Spec{Name: name, TTL: m.Time("ttl", 2*time.Minute, 2*time.Second, 24*time.Hour)}
		kind, ok := Kind(nil), false
		if s.Type, kind, ok = keys.Pick(m, kinds); !ok {
			return s, m.Known()
		}
		s.Target = kind(m, s.TTL)
		return s, m.Err()
	})
}
