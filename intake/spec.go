package intake

import (
	"reflect"
	"time"

	"edgeloop/sink/keys"
)

// MaxSources is how many sources a node may have.
const MaxSources = 16

// Spec is one source as it is configured.
type Spec struct {
	Name, Type string
	TTL        time.Duration // of commands that say nothing of it
	Source     Source

	given map[string]any // to tell what changed
}

// Parse reads the list of sources of the configuration file. It says all that is wrong with it.
func Parse(list []any, kinds map[string]Kind) ([]Spec, error) {
	return keys.ReadList("commands", MaxSources, list, "broker", func(name string, m *keys.Map) (Spec, error) {
		s := Spec{Name: name, given: m.Given()}
		kind, ok := Kind(nil), false
		s.Type, kind, ok = keys.Pick(m, kinds)
		s.TTL = m.Time("ttl", time.Hour, time.Second, 365*24*time.Hour)
		if !ok {
			return s, m.Known()
		}
		s.Source = kind(m)
		return s, m.Err()
	})
}

// same says whether nothing of a source has changed.
func (s *Spec) same(o *Spec) bool { return reflect.DeepEqual(s.given, o.given) }
