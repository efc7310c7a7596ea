package webhook

import (
	"bytes"

	"edgeloop/sink"
)

// format is how records lie in a body.
type format string

const (
	ndjson      format = "ndjson"
	jsonArray   format = "json"
	cloudEvents format = "cloudevents"
)

func (f format) mediaType() string {
	switch f {
	case jsonArray:
		return "application/json"
	case cloudEvents:
		return "application/cloudevents-batch+json" // CloudEvents HTTP binding 3.3
	}
	return "application/x-ndjson"
}

// form is what of a record is in it.
func (f format) form() sink.Form {
	if f == cloudEvents {
		return sink.FormCloudEvent
	}
	return sink.FormRecord
}

// write writes the records; line is room to work in, and given back.
func (f format) write(to *bytes.Buffer, line []byte, each *sink.Format, records []sink.Record) []byte {
	open, between, end := "[", ",", "]"
	if f == ndjson {
		open, between, end = "", "\n", "\n"
	}
	to.WriteString(open)
	for i := range records {
		if i > 0 {
			to.WriteString(between)
		}
		line, _ = each.Append(line[:0], &records[i])
		to.Write(line)
	}
	to.WriteString(end)
	return line
}
