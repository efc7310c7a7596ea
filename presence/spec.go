package presence

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
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

var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$`)

// Parse reads the list of boards of the configuration file. It says all that is wrong with it.
func Parse(list []any, kinds map[string]Kind) (specs []Spec, err error) {
	if len(list) > MaxBoards {
		return nil, fmt.Errorf("presence: there are %d boards, a node has at most %d", len(list), MaxBoards)
	}
	var errs []error
	for i, one := range list {
		where := fmt.Sprintf("presence[%d]", i)
		values, isMap := one.(map[string]any)
		if !isMap {
			errs = append(errs, fmt.Errorf("%s: takes keys: name, type and those of the type", where))
			continue
		}
		if name, ok := values["name"].(string); ok && nameForm.MatchString(name) {
			where = "presence." + name
		}
		s, err := parseOne(keys.New(where, values), kinds)
		if slices.ContainsFunc(specs, func(o Spec) bool { return o.Name == s.Name }) {
			err = errors.Join(err, fmt.Errorf("%s.name: %q is there twice: each board has a name of its own", where, s.Name))
		}
		errs = append(errs, err)
		specs = append(specs, s)
	}
	return specs, errors.Join(errs...)
}

func parseOne(m *keys.Map, kinds map[string]Kind) (Spec, error) {
	s := Spec{Name: m.Needed("name", "board"), TTL: m.Time("ttl", 2*time.Minute, 2*time.Second, 24*time.Hour)}
	if s.Name != "" && !nameForm.MatchString(s.Name) {
		m.Fail("name", "%q: give 1 to 63 letters, digits, - and _, beginning with a letter or a digit", s.Name)
	}
	known := strings.Join(slices.Sorted(maps.Keys(kinds)), ", ")
	s.Type = m.Needed("type", known)
	kind, is := kinds[s.Type]
	switch {
	case is:
		s.Target = kind(m, s.TTL)
	case s.Type != "":
		m.Fail("type", "%q is none of %s", s.Type, known)
		return s, m.Known()
	}
	return s, m.Err()
}
