package sink

import (
	"reflect"
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

	trace tracing
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

// Parse reads the list of sinks of the configuration file, whose names are also those of their
// places in the log. It says all that is wrong with it.
func Parse(list []any, kinds map[string]Kind) ([]Spec, error) {
	return keys.ReadList("sinks", MaxSinks, list, "lake", func(name string, m *keys.Map) (Spec, error) {
		return parseOne(name, m, kinds)
	})
}

func parseOne(name string, m *keys.Map, kinds map[string]Kind) (Spec, error) {
	s := Spec{Name: name, given: m.Given()}
	kind, ok := Kind(nil), false
	s.Type, kind, ok = keys.Pick(m, kinds)
	s.Filter = ReadFilter(m.Part("filter"))
	s.trace = readTracing(m)
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
		m.Fail("hold_log", "true is not offered: a sink that is down would stop the devices (docs/decisions/0038). "+
			"What retention takes before the sink had it is counted; give the log room with --log-max-bytes, or --when-full=stop")
	}
	if !ok {
		return s, m.Known()
	}
	s.Destination = kind(m)
	return s, m.Err()
}

// same says whether nothing of a sink has changed.
func (s *Spec) same(o *Spec) bool { return reflect.DeepEqual(s.given, o.given) }
