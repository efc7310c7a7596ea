package sink

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"

	"edgeloop/sink/keys"
)

// Form is what of a record a destination is given, as the key "format" names it.
type Form string

// Values of Form.
const (
	FormRecord     Form = "record"      // as docs/data.md has it, with its position
	FormCloudEvent Form = "cloudevents" // a CloudEvent in JSON
	FormData       Form = "data"        // what the device sent, alone
)

// Format makes what a destination is given of a record. The zero value makes records.
type Format struct {
	form    Form
	members []member // of an object in the place of the record; nil: none
}

// member is one of an object.
type member struct {
	key   []byte // as JSON, with the colon
	field Field
}

// ReadFormat gives the format under the keys "format" and "fields". forms are those that the
// destination takes, the first one where none is given.
func ReadFormat(m *keys.Map, forms ...Form) Format {
	words := make([]string, len(forms))
	for i, f := range forms {
		words[i] = string(f)
	}
	return ReadFields(m, Form(m.Word("format", words[0], words...)))
}

// ReadFields gives the format of a form, or, with the key "fields", that of objects with these
// members in the order of their names.
func ReadFields(m *keys.Map, form Form) Format {
	f := Format{form: form}
	part := m.Part("fields")
	given := part.Rest()
	for _, name := range slices.Sorted(maps.Keys(given)) {
		field, err := ParseField(given[name])
		if err != nil {
			part.Fail(name, "%s", err)
			continue
		}
		f.members = append(f.members, member{append(appendField(nil, "", name), ':'), field})
	}
	switch {
	case !m.Has("fields"):
	case len(given) == 0:
		m.Fail("fields", "has none: give some, as in {device: device, t: data.temp, at: time}")
	case form != FormRecord:
		m.Fail("fields", "does not go with format: %s, which has members of its own: leave one out", form)
	}
	return f
}

// Positions says whether a position can be read back from what it makes: from the member
// "position", or "id" of a CloudEvent.
func (f *Format) Positions() bool {
	return f.members == nil || slices.ContainsFunc(f.members, func(m member) bool {
		return string(m.key) == `"position":` && m.field.Name == "position"
	})
}

// Alone says that it makes what the device sent, and nothing else.
func (f *Format) Alone() bool { return f.members == nil && f.form == FormData }

// Append appends the record in this format; text says whether it is JSON, which bytes of a
// device alone may not be.
func (f *Format) Append(dst []byte, r *Record) (out []byte, text bool) {
	switch {
	case f.members != nil:
		return f.appendMembers(dst, r), true
	case f.form == FormCloudEvent:
		return r.AppendCloudEvent(dst), true
	case f.form == FormData:
		return r.appendData(dst)
	}
	return r.AppendJSON(dst), true
}

// Make is Append to bytes of their own, which belong to the caller, made at once as large as most
// forms need.
func (f *Format) Make(r *Record) (out []byte, text bool) {
	return f.Append(make([]byte, 0, len(r.Line)+96), r) // a position has 80 bytes at most
}

func (f *Format) appendMembers(dst []byte, r *Record) []byte {
	between := byte('{')
	for i := range f.members {
		dst = append(append(dst, between), f.members[i].key...)
		dst = f.members[i].field.appendJSON(dst, r)
		between = ','
	}
	return append(dst, '}')
}

// appendData appends what the device sent.
func (r *Record) appendData(dst []byte) (out []byte, text bool) {
	if r.Encoding != "base64" {
		return append(dst, r.Data...), true
	}
	var s string
	if json.Unmarshal(r.Data, &s) == nil {
		if bytes, err := base64.StdEncoding.DecodeString(s); err == nil {
			return append(dst, bytes...), false
		}
	}
	return append(dst, r.Data...), true // not written by a node
}
