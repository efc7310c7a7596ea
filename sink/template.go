package sink

import (
	"fmt"
	"slices"
	"strings"

	"edgeloop/sink/keys"
)

// Template makes a name of a record: of a subject, a key, a topic. {tenant}, {device},
// {type} and {topic} stand for the record's; what else stands in it stays.
//
// Two records that differ in one of its fields never share a name: names of devices may hold
// what stands behind a field, as in {tenant}:{device}. So of each field but the last one the
// byte that follows it in the template becomes "=" and two hexadecimal digits.
type Template struct {
	parts []string // text and field in turn, text first
}

var templateFields = []string{"tenant", "device", "type", "topic"}

// ReadTemplate gives the template under a key. What is wrong with it m is told.
func ReadTemplate(m *keys.Map, key, def string) (t Template) {
	rest := m.Text(key, def)
	if rest == "" {
		m.Fail(key, "is empty: give a name, as in %s", def)
	}
	for {
		text, behind, opens := strings.Cut(rest, "{")
		t.parts = append(t.parts, text)
		if !opens {
			if strings.Contains(text, "}") {
				m.Fail(key, "a } has no { before it")
			}
			return t
		}
		field, after, closes := strings.Cut(behind, "}")
		if !closes || !slices.Contains(templateFields, field) {
			m.Fail(key, "{%s} is no field: there are {%s}", field, strings.Join(templateFields, "}, {"))
			return t
		}
		t.parts, rest = append(t.parts, field), after
		if strings.HasPrefix(after, "{") || after != "" && strings.Contains(after, "{") && strings.IndexByte("=0123456789ABCDEF", after[0]) >= 0 {
			m.Fail(key, "nothing tells where {%s} ends: put another character behind it, as in {%s}:", field, field)
		}
	}
}

// Chosen says that a device chooses part of the name, by its topic: what the destination has
// no place for then is the record's fault, and not the configuration's.
func (t *Template) Chosen() bool {
	for i := 1; i < len(t.parts); i += 2 {
		if t.parts[i] == "topic" {
			return true
		}
	}
	return false
}

// Expand gives the name for a record. escape makes a field fit for it, nil leaves it as it is.
func (t *Template) Expand(r *Record, escape func(string) string) string {
	if escape == nil {
		return t.ExpandBy(r, nil)
	}
	return t.ExpandBy(r, func(_, value string) string { return escape(value) })
}

// ExpandBy gives the name for a record; escape makes the value of a field fit for it, nil leaves
// it as it is. What it makes of a topic is its own: levels may stay levels.
func (t *Template) ExpandBy(r *Record, escape func(field, value string) string) string {
	var b strings.Builder
	for i, part := range t.parts {
		if i%2 == 0 {
			b.WriteString(part)
			continue
		}
		value := r.Topic
		switch part {
		case "tenant":
			value = r.Tenant
		case "device":
			value = r.Device
		case "type":
			value = r.Type
		}
		inner := i < len(t.parts)-2
		switch {
		case escape != nil:
			value = escape(part, value)
			inner = inner && part != "topic"
		case inner:
			value = strings.ReplaceAll(value, "=", "=3D")
		}
		if inner {
			value = without(t.parts[i+1], value)
		}
		b.WriteString(value)
	}
	return b.String()
}

// without is a value in which what begins the text behind it does not stand.
func without(behind, value string) string {
	if behind == "" || !strings.Contains(value, behind[:1]) {
		return value
	}
	return strings.ReplaceAll(value, behind[:1], fmt.Sprintf("=%02X", behind[0]))
}
