package sink

import (
	"slices"
	"strings"

	"edgeloop/sink/keys"
)

// Template makes a name of a record: of a subject, a key, a topic. {tenant}, {device},
// {type} and {topic} stand for the record's; what else stands in it stays.
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
	}
}

// Expand gives the name for a record. escape makes a field fit for it, nil leaves it as it is.
func (t *Template) Expand(r *Record, escape func(string) string) string {
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
		if escape != nil {
			value = escape(value)
		}
		b.WriteString(value)
	}
	return b.String()
}
