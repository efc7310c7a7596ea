package sink

import (
	"encoding/base64"
	"encoding/json"

	"edgeloop/sink/keys"
)

// Format is what of a record a destination is given: as docs/data.md has it, as a
// CloudEvent, or the data alone.
type Format string

// Values of Format.
const (
	FormatRecord     Format = "record"
	FormatCloudEvent Format = "cloudevents"
	FormatData       Format = "data"
)

// ReadFormat gives the format under the key "format".
func ReadFormat(m *keys.Map) Format {
	return Format(m.Word("format", string(FormatRecord), string(FormatRecord), string(FormatCloudEvent), string(FormatData)))
}

// Append appends the record in this format; text says whether it is JSON, which bytes of a
// device alone may not be.
func (f Format) Append(dst []byte, r *Record) (out []byte, text bool) {
	switch f {
	case FormatCloudEvent:
		return r.AppendCloudEvent(dst), true
	case FormatData:
		return r.appendData(dst)
	}
	return r.AppendJSON(dst), true
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
