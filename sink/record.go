package sink

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
)

// Record is one record of the log on its way out.
type Record struct {
	Log      string `json:"-"` // the identity of the log
	Position uint64 `json:"-"`
	// Line is the record as stored (docs/data.md), without a line break. Never written.
	Line []byte `json:"-"`

	Tenant   string          `json:"tenant"`
	Device   string          `json:"device"`
	Epoch    uint64          `json:"epoch"`
	Seq      uint64          `json:"seq"` // 0: none
	Type     string          `json:"type"`
	Topic    string          `json:"topic"`
	Level    string          `json:"level"`
	TS       int64           `json:"ts"` // of the device, Unix milliseconds; 0: none
	Received int64           `json:"received"`
	Data     json.RawMessage `json:"data"`
	Encoding string          `json:"encoding"` // "base64": Data is a text of bytes in base64

	Properties *Properties `json:"properties"` // nil: none

	Trace Trace `json:"-"` // where the sink has a key for it
}

// parse reads a line of the log. line is shared, never written. Texts that are those of the record
// before it are not made anew.
func parse(log string, position uint64, line []byte, before *Record, trace *tracing) (Record, error) {
	r := Record{Log: log, Position: position, Line: line}
	if !scan(line, before, &r) {
		var err error
		if r, err = unmarshal(log, position, line); err != nil {
			return r, err
		}
	}
	r.Trace = trace.of(&r)
	return r, nil
}

// unmarshal is parse for lines of any form. In a function of its own, for its record is garbage.
func unmarshal(log string, position uint64, line []byte) (Record, error) {
	r := Record{Log: log, Position: position, Line: line}
	if err := json.Unmarshal(line, &r); err != nil {
		return r, fmt.Errorf("record %d of the log cannot be read: %w", position, err)
	}
	return r, nil
}

// ID is the record's position as given out: the same each time it is sent, and of no
// other record.
func (r *Record) ID() string { return r.Log + "-" + strconv.FormatUint(r.Position, 10) }

// AppendJSON appends the record as docs/data.md has it, with its position at the end.
func (r *Record) AppendJSON(dst []byte) []byte {
	dst = append(dst, r.Line[:len(r.Line)-1]...)
	dst = append(dst, `,"position":"`...)
	dst = append(dst, r.Log...)
	dst = append(dst, '-')
	dst = strconv.AppendUint(dst, r.Position, 10)
	return append(dst, `"}`...)
}

// AppendCloudEvent appends the record as a CloudEvent 1.0 in JSON. Epoch and sequence
// are text: an integer there has 32 bits.
func (r *Record) AppendCloudEvent(dst []byte) []byte {
	dst = append(dst, `{"specversion":"1.0","id":"`...)
	dst = append(dst, r.ID()...)
	dst = appendField(dst, `","source":`, "/edgeloop/"+r.Tenant+"/"+r.Device)
	dst = appendField(dst, `,"type":`, "edgeloop."+r.Type)
	if r.Topic != "" {
		dst = appendField(dst, `,"subject":`, r.Topic)
	}
	dst = append(dst, `,"time":"`...)
	dst = appendTime(dst, cmp.Or(r.TS, r.Received))
	dst = appendField(dst, `","datacontenttype":`, r.contentType())
	dst = appendField(dst, `,"tenant":`, r.Tenant)
	dst = appendField(dst, `,"device":`, r.Device)
	dst = append(dst, `,"epoch":"`...)
	dst = strconv.AppendUint(dst, r.Epoch, 10)
	dst = append(dst, '"')
	if r.Seq != 0 {
		dst = append(dst, `,"sequence":"`...)
		dst = strconv.AppendUint(dst, r.Seq, 10)
		dst = append(dst, '"')
	}
	for _, p := range r.Trace.Pairs() { // of the distributed tracing extension
		dst = appendField(dst, `,"`+p.Key+`":`, p.Value)
	}
	dst = r.appendAttributes(dst)
	if r.Encoding == "base64" {
		dst = append(dst, `,"data_base64":`...)
	} else {
		dst = append(dst, `,"data":`...)
	}
	dst = append(dst, r.Data...)
	return append(dst, '}')
}

func appendField(dst []byte, key, value string) []byte {
	text, _ := json.Marshal(value) // of a string it always succeeds
	return append(append(dst, key...), text...)
}
