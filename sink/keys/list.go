package keys

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// nameForm is compiled when a list is read: it takes memory.
var nameForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$`) })

// ReadList reads a list of the configuration file, of at most most members, each of which is a
// map with a name of its own. key is that of the list, example a name. read makes one member
// of its keys; it returns Map.Err. The error says all that is wrong with the list.
func ReadList[T any](key string, most int, list []any, example string, read func(name string, m *Map) (T, error)) (all []T, err error) {
	if len(list) > most {
		return nil, fmt.Errorf("%s: there are %d, a node has at most %d", key, len(list), most)
	}
	var errs []error
	var names []string
	for i, one := range list {
		where := fmt.Sprintf("%s[%d]", key, i)
		values, isMap := one.(map[string]any)
		if !isMap {
			errs = append(errs, fmt.Errorf("%s: takes keys: name, type and those of the type", where))
			continue
		}
		if name, ok := values["name"].(string); ok && nameForm().MatchString(name) {
			where = key + "." + name
		}
		m := New(where, values)
		name := m.Needed("name", example)
		switch {
		case name == "": // said by Needed
		case !nameForm().MatchString(name):
			m.Fail("name", "%q: give 1 to 63 letters, digits, - and _, beginning with a letter or a digit", name)
		case slices.Contains(names, name):
			errs = append(errs, fmt.Errorf("%s[%d].name: %q is there twice: each has a name of its own", key, i, name))
		}
		names = append(names, name)
		member, err := read(name, m)
		errs = append(errs, err)
		all = append(all, member)
	}
	return all, errors.Join(errs...)
}

// Pick reads the key type, which names one of kinds. Without ok there is none of it; what is
// wrong is noted, and the keys of the type are not known.
func Pick[K any](m *Map, kinds map[string]K) (name string, kind K, ok bool) {
	known := strings.Join(slices.Sorted(maps.Keys(kinds)), ", ")
	name = m.Needed("type", known)
	kind, ok = kinds[name]
	if name != "" && !ok {
		m.Fail("type", "%q is none of %s", name, known)
	}
	return name, kind, ok
}

// Given is the map as it is in the configuration file, to tell what changed.
func (m *Map) Given() map[string]any { return m.given }
