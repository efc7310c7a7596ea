package sink

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"edgeloop/backbone/reader"
	"edgeloop/sink/keys"
)

// MaxSinks is how many sinks a node may have: each has two goroutines and two batches.
const MaxSinks = 64

// Spec is one sink as it is configured.
type Spec struct {
	Name, Type string
	Filter     Filter
	From       reader.Start // the first time it runs
	Batch      Batch
	Retry      Retry
	// Timeout is how long one attempt may take.
	Timeout time.Duration
	// StopOnRefusal: a refused record stops the sink, instead of going to the dead letters.
	StopOnRefusal bool
	Destination   Destination

	given map[string]any // to tell what changed
}

// Batch bounds what is handed over at once.
type Batch struct {
	Records int
	Bytes   int
	Wait    time.Duration // how long a batch gathers that is not full
}

// Retry is how the delays between attempts grow: each is between none and twice as much
// as the one before, within Most.
type Retry struct{ Least, Most time.Duration }

var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$`)

// Parse reads the list of sinks of the configuration file. It says all that is wrong with it.
func Parse(list []any, kinds map[string]Kind) (specs []Spec, err error) {
	if len(list) > MaxSinks {
		return nil, fmt.Errorf("sinks: there are %d, a node has at most %d", len(list), MaxSinks)
	}
	var errs []error
	for i, one := range list {
		values, isMap := one.(map[string]any)
		if !isMap {
			errs = append(errs, fmt.Errorf("sinks[%d]: takes keys: name, type and those of the type", i))
			continue
		}
		s, err := parseOne(i, values, kinds)
		if slices.ContainsFunc(specs, func(o Spec) bool { return o.Name == s.Name }) {
			err = errors.Join(err, fmt.Errorf("sinks[%d].name: %q is there twice: each sink has its own place in the log by its name", i, s.Name))
		}
		errs = append(errs, err)
		specs = append(specs, s)
	}
	return specs, errors.Join(errs...)
}

func parseOne(i int, values map[string]any, kinds map[string]Kind) (Spec, error) {
	where := fmt.Sprintf("sinks[%d]", i)
	if name, ok := values["name"].(string); ok && nameForm.MatchString(name) {
		where = "sinks." + name
	}
	m := keys.New(where, values)
	s := Spec{Name: m.Needed("name", "lake"), given: values}
	if s.Name != "" && !nameForm.MatchString(s.Name) {
		m.Fail("name", "%q: give 1 to 63 letters, digits, - and _, beginning with a letter or a digit", s.Name)
	}
	known := slices.Sorted(maps.Keys(kinds))
	s.Type = m.Needed("type", strings.Join(known, ", "))
	s.Filter = ReadFilter(m.Part("filter"))
	if m.Word("from", "oldest", "oldest", "newest") == "newest" {
		s.From = reader.Newest
	}
	b := m.Part("batch")
	s.Batch = Batch{
		Records: int(b.Number("records", 500, 1, 10_000)),
		Bytes:   int(b.Size("bytes", 1<<20, 1<<10, 16<<20)),
		Wait:    b.Time("wait", 200*time.Millisecond, 0, time.Minute),
	}
	r := m.Part("retry")
	s.Retry = Retry{
		Least: r.Time("least", 200*time.Millisecond, time.Millisecond, time.Hour),
		Most:  r.Time("most", 30*time.Second, time.Millisecond, time.Hour),
	}
	if s.Retry.Least > s.Retry.Most {
		r.Fail("least", "%s is above most: %s", s.Retry.Least, s.Retry.Most)
	}
	s.Timeout = m.Time("timeout", 30*time.Second, 100*time.Millisecond, time.Hour)
	s.StopOnRefusal = m.Word("on_refusal", "dead-letter", "dead-letter", "stop") == "stop"
	if m.Flag("hold_log", false) {
		m.Fail("hold_log", "true is not offered: a sink that is down would stop the devices (docs/decisions/0029). "+
			"What retention takes before the sink had it is counted; give the log room with --log-max-bytes, or --when-full=stop")
	}
	kind, is := kinds[s.Type]
	switch {
	case is:
		s.Destination = kind(m)
	case s.Type != "":
		m.Fail("type", "%q is none of %s", s.Type, strings.Join(known, ", "))
		return s, m.Known()
	}
	return s, m.Err()
}

// same says whether nothing of a sink has changed.
func (s *Spec) same(o *Spec) bool { return reflect.DeepEqual(s.given, o.given) }
