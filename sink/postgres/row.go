package postgres

import (
	"cmp"
	"encoding/json"
	"strconv"
	"time"

	"edgeloop/sink"
)

// appendRow appends a record in the text format of COPY: columns between tabs, what is not
// there as \N. types are those that the columns have.
func (t *table) appendRow(dst []byte, n int, r *sink.Record, types []string) []byte {
	dst = strconv.AppendInt(dst, int64(n), 10)
	for i := range t.columns {
		dst = append(dst, '\t')
		if text, has := t.columns[i].value(r, types[i]); has {
			dst = appendEscaped(dst, text)
		} else {
			dst = append(dst, `\N`...)
		}
	}
	return append(dst, '\n')
}

// value is what a column takes of a record, as text.
func (c *column) value(r *sink.Record, typ string) (text string, has bool) {
	switch c.field.Name {
	case "time":
		return stamp(cmp.Or(r.TS, r.Received), typ)
	case "ts":
		return stamp(r.TS, typ)
	case "received":
		return stamp(r.Received, typ)
	case "tenant":
		text = r.Tenant
	case "device":
		text = r.Device
	case "epoch":
		return strconv.FormatUint(r.Epoch, 10), true
	case "seq":
		return strconv.FormatUint(r.Seq, 10), r.Seq != 0
	case "type":
		text = r.Type
	case "topic":
		text = r.Topic
	case "level":
		text = r.Level
	case "encoding":
		text = r.Encoding
	case "record":
		return string(r.AppendJSON(nil)), true
	case "position":
		text = r.ID()
	case "data", "properties":
		return plain(c.field.InData(r), typ == "json" || typ == "jsonb")
	}
	return text, text != ""
}

// stamp is Unix milliseconds as PostgreSQL reads times, or as they are for a column of
// numbers; 0 is none.
func stamp(ms int64, typ string) (string, bool) {
	switch typ {
	case "int8", "numeric", "float8":
		return strconv.FormatInt(ms, 10), ms != 0
	}
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z"), ms != 0
}

// plain is a value as it is for a column that takes JSON, or else as text: a string without its
// quotes.
func plain(value json.RawMessage, raw bool) (string, bool) {
	var text string
	if !raw && len(value) > 0 && value[0] == '"' && json.Unmarshal(value, &text) == nil {
		return text, true
	}
	return string(value), len(value) > 0
}

func appendEscaped(dst []byte, text string) []byte {
	for i := range len(text) {
		switch c := text[i]; c {
		case '\\':
			dst = append(dst, '\\', '\\')
		case '\t':
			dst = append(dst, '\\', 't')
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		default:
			dst = append(dst, c)
		}
	}
	return dst
}
