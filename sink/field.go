package sink

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// fieldNames are the fields of a record, in the order of a table that is made for them.
var fieldNames = []string{
	"time", // of the device, or else when the node received it
	"tenant", "device", "epoch", "seq", "type", "topic", "level", "ts", "received", "encoding", "data", "properties", "record", "position",
}

// Field is what of a record a column of a table takes, or a member of an object.
type Field struct {
	Name string // one of fieldNames
	// Path is, of "data", the keys that lead to a value in it, and of "properties" the one that is
	// meant, with the name of a user property behind it. None is all of it.
	Path []string
}

// ParseField reads a field as configurations name it: NAME, data.KEY or data.KEY.KEY,
// properties.NAME or properties.user.NAME.
func ParseField(text string) (Field, error) {
	f := Field{Name: text}
	if path, is := strings.CutPrefix(text, "data."); is {
		f.Name, f.Path = "data", strings.Split(path, ".")
		if slices.Contains(f.Path, "") {
			return f, fmt.Errorf("%q: give data.KEY, or data.KEY.KEY", text)
		}
	}
	if path, is := strings.CutPrefix(text, "properties."); is {
		ok := false
		f.Name = "properties"
		if f.Path, ok = cutProperty(path); !ok {
			return f, fmt.Errorf("%q: of properties there are %s, and user.NAME", text, strings.Join(propertyNames, ", "))
		}
	}
	if f.Rank() < 0 {
		return f, fmt.Errorf("%q is no field: there are %s, data.KEY and properties.NAME", text, strings.Join(fieldNames, ", "))
	}
	return f, nil
}

// Rank is the field's place in the order of fields, -1 if there is no such field.
func (f *Field) Rank() int { return slices.Index(fieldNames, f.Name) }

// InData finds the value at the field's path in a record's data, or of its properties, nil if
// there is none or it is null. Its bytes are shared, never written.
func (f *Field) InData(r *Record) json.RawMessage {
	if f.Name == "properties" {
		return f.inProperties(r)
	}
	data := r.Data
	for _, key := range f.Path {
		var object map[string]json.RawMessage
		if json.Unmarshal(data, &object) != nil {
			return nil
		}
		data = object[key]
	}
	if string(data) == "null" {
		return nil
	}
	return data
}

// appendJSON appends the field as JSON, null where the record has none.
func (f *Field) appendJSON(dst []byte, r *Record) []byte {
	switch f.Name {
	case "time":
		if ms := cmp.Or(r.TS, r.Received); ms != 0 {
			return append(appendTime(append(dst, '"'), ms), '"')
		}
	case "ts":
		return appendNumber(dst, r.TS)
	case "received":
		return appendNumber(dst, r.Received)
	case "epoch":
		return strconv.AppendUint(dst, r.Epoch, 10)
	case "seq":
		if r.Seq != 0 {
			return strconv.AppendUint(dst, r.Seq, 10)
		}
	case "record":
		return r.AppendJSON(dst)
	case "data", "properties":
		if data := f.InData(r); len(data) > 0 {
			return append(dst, data...)
		}
	default:
		if text := f.text(r); text != "" {
			return appendField(dst, "", text)
		}
	}
	return append(dst, "null"...)
}

// text is the value of a field that is a text.
func (f *Field) text(r *Record) string {
	switch f.Name {
	case "tenant":
		return r.Tenant
	case "device":
		return r.Device
	case "type":
		return r.Type
	case "topic":
		return r.Topic
	case "level":
		return r.Level
	case "encoding":
		return r.Encoding
	}
	return r.ID()
}

// appendNumber appends a number, null for 0.
func appendNumber(dst []byte, n int64) []byte {
	if n == 0 {
		return append(dst, "null"...)
	}
	return strconv.AppendInt(dst, n, 10)
}

// appendTime appends Unix milliseconds as RFC 3339 has a time.
func appendTime(dst []byte, ms int64) []byte {
	return time.UnixMilli(ms).UTC().AppendFormat(dst, "2006-01-02T15:04:05.000Z")
}
