package sink

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"sync"

	"edgeloop/sink/keys"
)

// Trace is the trace context that a record brings [W3C Trace Context]; empty where it brings
// none that is valid.
type Trace struct{ Parent, State string }

// A Pair is a header, property or attribute, and its value.
type Pair struct{ Key, Value string }

// Pairs are the trace context as it goes beside a record.
func (t *Trace) Pairs() (all []Pair) {
	if t.Parent != "" {
		all = append(all, Pair{"traceparent", t.Parent})
		if t.State != "" {
			all = append(all, Pair{"tracestate", t.State})
		}
	}
	return all
}

// tracing is where in the data of a record its trace context is.
type tracing struct {
	on            bool
	parent, state Field
}

// readTracing reads the key "trace".
func readTracing(m *keys.Map) (t tracing) {
	text := m.Text("trace", "")
	if text == "" {
		return t
	}
	f, err := ParseField(text)
	if err != nil || f.Name != "data" || len(f.Path) == 0 {
		m.Fail("trace", "%q: give the key in the data of records that holds a traceparent, as in data.traceparent", text)
		return t
	}
	// A tracestate stands beside its traceparent.
	beside := append(slices.Clone(f.Path[:len(f.Path)-1]), "tracestate")
	return tracing{on: true, parent: f, state: Field{Name: f.Name, Path: beside}}
}

// of is the trace context of a record: that of its user properties, or else where the key says.
// What a device sends is checked: it becomes a header.
func (t *tracing) of(r *Record) Trace {
	if p := r.Properties; p != nil {
		if c := checked(p.user("traceparent"), p.user("tracestate")); c.Parent != "" {
			return c
		}
	}
	if !t.on || r.Encoding != "" {
		return Trace{}
	}
	return checked(textIn(&t.parent, r), textIn(&t.state, r))
}

func checked(parent, state string) Trace {
	switch {
	case !validParent(parent):
		return Trace{}
	case !validState(state):
		state = ""
	}
	return Trace{Parent: parent, State: state}
}

func textIn(f *Field, r *Record) (text string) {
	if json.Unmarshal(f.InData(r), &text) != nil {
		return ""
	}
	return text
}

// parentForm is version, trace-id, parent-id and flags; a version above 00 may have more behind
// them. [W3C Trace Context 3.2.2] Both forms are compiled for the first header: they take half
// a megabyte, which a node without sinks has no use for.
var parentForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-[ -~]*)?$`)
})

// maxTrace is how many bytes of either header are passed on. [W3C Trace Context 3.3.1.1]
const maxTrace = 512

func validParent(text string) bool {
	if len(text) > maxTrace {
		return false
	}
	m := parentForm().FindStringSubmatch(text)
	return m != nil && m[1] != "ff" && (m[1] != "00" || m[4] == "") &&
		strings.Trim(m[2], "0") != "" && strings.Trim(m[3], "0") != ""
}

// stateForm is one member of the list. [W3C Trace Context 3.3.1.3]
var stateForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^([a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})=[ -+\--<>-~]{0,255}[!-+\--<>-~]$`)
})

func validState(text string) bool {
	members := strings.Split(text, ",")
	if len(text) > maxTrace || len(members) > 32 {
		return false
	}
	for _, one := range members {
		if one = strings.Trim(one, " \t"); one != "" && !stateForm().MatchString(one) {
			return false
		}
	}
	return true
}
