package keys

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"edgeloop/internal/units"
)

// Map is a map of the configuration file, whose keys are asked for one by one. It is for
// one goroutine.
type Map struct {
	where  string
	values map[string]any // by keys with _ in the place of -
	given  map[string]any // as they are given
	asked  []string
	parts  []*Map
	errs   []error
}

// New reads values; where names the map in errors. In keys - is as good as _.
func New(where string, values map[string]any) *Map {
	m := &Map{where: where, given: values, values: make(map[string]any, len(values))}
	for key, value := range values {
		name := strings.ReplaceAll(key, "-", "_")
		if _, twice := m.values[name]; twice {
			m.fail(name, "is there twice, with _ and with -: leave one out")
		}
		m.values[name] = value
	}
	return m
}

// Where names the map, as errors do.
func (m *Map) Where() string { return m.where }

// Fail notes what is wrong with a key.
func (m *Map) Fail(key, format string, args ...any) { m.fail(key, fmt.Sprintf(format, args...)) }

func (m *Map) fail(key, text string) {
	m.errs = append(m.errs, fmt.Errorf("%s.%s: %s", m.where, key, text))
}

// Has says whether a key is there.
func (m *Map) Has(key string) bool {
	_, has := m.values[key]
	return has
}

func (m *Map) take(key string) (any, bool) {
	m.asked = append(m.asked, key)
	v, has := m.values[key]
	return v, has
}

// scalar gives the value of a key as text.
func (m *Map) scalar(key string) (string, bool) {
	v, has := m.take(key)
	if !has {
		return "", false
	}
	switch v.(type) {
	case string, bool, int, int64, uint64, float64:
		return fmt.Sprint(v), true
	}
	m.fail(key, "takes one value")
	return "", false
}

// Text gives a text, or def where there is none.
func (m *Map) Text(key, def string) string {
	if text, has := m.scalar(key); has {
		return text
	}
	return def
}

// Needed gives a text that must be there; example says what it may look like.
func (m *Map) Needed(key, example string) string {
	before := len(m.errs)
	text, _ := m.scalar(key)
	if text == "" && len(m.errs) == before {
		m.fail(key, "is missing: give one, as in "+example)
	}
	return text
}

// Word gives one of the words that are allowed.
func (m *Map) Word(key, def string, allowed ...string) string {
	text := m.Text(key, def)
	if !slices.Contains(allowed, text) {
		m.fail(key, fmt.Sprintf("%q is none of %s", text, strings.Join(allowed, ", ")))
	}
	return text
}

// Flag gives true or false.
func (m *Map) Flag(key string, def bool) bool {
	v, has := m.take(key)
	if !has {
		return def
	}
	b, ok := v.(bool)
	if !ok {
		m.fail(key, fmt.Sprintf("%v is neither true nor false", v))
	}
	return b
}

// Number gives a whole number of a range.
func (m *Map) Number(key string, def, least, most int64) int64 {
	return m.number(key, def, least, most, units.Size, func(n int64) string { return fmt.Sprint(n) })
}

// Size gives bytes, which may have a unit.
func (m *Map) Size(key string, def, least, most int64) int64 {
	return m.number(key, def, least, most, units.Size, units.SizeText)
}

// Time gives a time with its unit.
func (m *Map) Time(key string, def, least, most time.Duration) time.Duration {
	return time.Duration(m.number(key, int64(def), int64(least), int64(most), units.Age,
		func(n int64) string { return time.Duration(n).String() }))
}

func (m *Map) number(key string, def, least, most int64, read func(string) (int64, error), text func(int64) string) int64 {
	given, has := m.scalar(key)
	if !has {
		return def
	}
	n, err := read(given)
	switch {
	case err != nil:
		m.fail(key, err.Error())
	case n < least || n > most:
		m.fail(key, fmt.Sprintf("%s: give %s to %s", given, text(least), text(most)))
	}
	return n
}

// Texts gives a list of texts; one alone is a list of one.
func (m *Map) Texts(key string) (out []string) {
	v, has := m.take(key)
	if !has {
		return nil
	}
	list, isList := v.([]any)
	if !isList {
		list = []any{v}
	}
	for _, one := range list {
		switch one.(type) {
		case string, bool, int, int64, uint64, float64:
			out = append(out, fmt.Sprint(one))
		default:
			m.fail(key, "takes a value, or a list of values")
			return nil
		}
	}
	if len(out) == 0 {
		m.fail(key, "is an empty list: give a value, or leave the key out")
	}
	return out
}

// Part gives the map under a key, an empty one where there is none. Its errors come with
// those of m.
func (m *Map) Part(key string) *Map {
	v, has := m.take(key)
	values, isMap := v.(map[string]any)
	if has && !isMap {
		m.fail(key, "takes keys of its own")
	}
	part := New(m.where+"."+key, values)
	m.parts = append(m.parts, part)
	return part
}

// Rest gives all keys as they are, with a text each, for maps whose keys are not ours, as
// of headers.
func (m *Map) Rest() map[string]string {
	out := make(map[string]string, len(m.given))
	for key, value := range m.given {
		m.asked = append(m.asked, strings.ReplaceAll(key, "-", "_"))
		switch value.(type) {
		case string, bool, int, int64, uint64, float64:
			out[key] = fmt.Sprint(value)
		default:
			m.fail(key, "takes one value")
		}
	}
	return out
}

// Known says what was wrong with the keys that were asked for, nil if nothing was.
func (m *Map) Known() error {
	errs := slices.Clone(m.errs)
	for _, part := range m.parts {
		errs = append(errs, part.Known())
	}
	return errors.Join(errs...)
}

// Err says all that was wrong, keys that nobody asked for included, nil if nothing was.
func (m *Map) Err() error {
	errs := slices.Clone(m.errs)
	for _, key := range slices.Sorted(maps.Keys(m.values)) {
		if !slices.Contains(m.asked, key) {
			known := slices.Clone(m.asked)
			slices.Sort(known)
			errs = append(errs, fmt.Errorf("%s.%s: there is no such key: known are %s", m.where, key, strings.Join(slices.Compact(known), ", ")))
		}
	}
	for _, part := range m.parts {
		errs = append(errs, part.Err())
	}
	return errors.Join(errs...)
}
