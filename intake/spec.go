package intake

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
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

var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$`)

// Parse reads the list of sources of the configuration file. It says all that is wrong with it.
func Parse(list []any, kinds map[string]Kind) (specs []Spec, err error) {
	if len(list) > MaxSources {
		return nil, fmt.Errorf("commands: there are %d sources, a node has at most %d", len(list), MaxSources)
	}
	var errs []error
	for i, one := range list {
		values, isMap := one.(map[string]any)
		if !isMap {
			errs = append(errs, fmt.Errorf("commands[%d]: takes keys: name, type and those of the type", i))
			continue
		}
		s, err := parseOne(i, values, kinds)
		if slices.ContainsFunc(specs, func(o Spec) bool { return o.Name == s.Name }) {
			err = errors.Join(err, fmt.Errorf("commands[%d].name: %q is there twice: each source has a name of its own", i, s.Name))
		}
		errs = append(errs, err)
		specs = append(specs, s)
	}
	return specs, errors.Join(errs...)
}

func parseOne(i int, values map[string]any, kinds map[string]Kind) (Spec, error) {
	where := fmt.Sprintf("commands[%d]", i)
	if name, ok := values["name"].(string); ok && nameForm.MatchString(name) {
		where = "commands." + name
	}
	m := keys.New(where, values)
	s := Spec{Name: m.Needed("name", "broker"), given: values}
	if s.Name != "" && !nameForm.MatchString(s.Name) {
		m.Fail("name", "%q: give 1 to 63 letters, digits, - and _, beginning with a letter or a digit", s.Name)
	}
	known := strings.Join(slices.Sorted(maps.Keys(kinds)), ", ")
	s.Type = m.Needed("type", known)
	s.TTL = m.Time("ttl", time.Hour, time.Second, 365*24*time.Hour)
	kind, is := kinds[s.Type]
	switch {
	case is:
		s.Source = kind(m)
	case s.Type != "":
		m.Fail("type", "%q is none of %s", s.Type, known)
		return s, m.Known()
	}
	return s, m.Err()
}

// same says whether nothing of a source has changed.
func (s *Spec) same(o *Spec) bool { return reflect.DeepEqual(s.given, o.given) }
