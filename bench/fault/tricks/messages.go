package tricks

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// messageTricks are of a device that was let in and breaks the protocol of devices.
func messageTricks() []Trick {
	say := func(name, about, message string, want ...string) Trick {
		return Trick{Name: name, About: about, Want: want, try: func(t *try) string {
			others := 3
			if !slices.Contains(want, "ack") {
				others = 1000 // a node that says nothing is found out, if late
			}
			return t.says(message, others)
		}}
	}
	telemetry := func(rest string) string { return `{"type":"telemetry","seq":1,` + rest + `}` }
	return []Trick{
		say("nested", "arrays nested 20,000 deep", telemetry(`"data":`+strings.Repeat("[", 20_000)+strings.Repeat("]", 20_000)), "error bad_envelope", "error too_large"),
		say("twice", "a member that appears twice", telemetry(`"data":{},"seq":2`), "error bad_envelope"),
		say("number", "a sequence of 300 digits", `{"type":"telemetry","seq":1`+strings.Repeat("0", 300)+`,"data":{}}`, "error bad_sequence"),
		say("negative", "a negative sequence", `{"type":"telemetry","seq":-1,"data":{}}`, "error bad_sequence"),
		say("topic-wild", "a wildcard as topic", telemetry(`"topic":"a/#","data":{}`), "error bad_topic", "error bad_envelope", "ack"),
		say("topic-long", "a topic of 1,000 bytes", telemetry(`"topic":"`+strings.Repeat("t", 1000)+`","data":{}`), "error too_large"),
		say("subject", "a topic that would be another subject", telemetry(`"topic":"*.>","data":{}`), "ack", "error bad_topic"),
		say("group-subject", "a group that would be all of them: it is a name like others", `{"type":"join","group":"*"}`, "ack"),
		say("node-word", "what only a node says", `{"type":"ack","upto":100}`, "error unsupported_type"),
		say("stolen-token", "another device's token, later", `{"type":"token","token":"stolen"}`, "error bad_token"),
		say("reply", "the answer to a command of somebody else, then a message", `{"type":"reply","id":"01J","ok":true,"data":{}}`, "ack"),
		{Name: "again", About: "nine bad messages", Want: []string{"close 1008"}, try: func(t *try) string {
			return t.asDevice(strings.Repeat(frame(fin|text, "{"), 9))
		}},
		{Name: "binary", About: "binary messages to a device of text", Want: []string{"close 1003", "close 1008", "close 1007", "close 1002"}, try: func(t *try) string {
			return t.asDevice(strings.Repeat(frame(fin|binaryFrame, "\x55\xaa"), 9))
		}},
		{Name: "jump", About: "a sequence at the end of all, then the first", Want: []string{"ack, ack", "ack, error", "error, ack"}, try: (*try).jump},
	}
}

// says sends a message, and then others that are good and new, each when the one before was
// acknowledged: what the node answers that is no acknowledgement, or "ack". An error may come
// behind the acknowledgements of the next messages: a busy loop writes those first.
func (t *try) says(message string, others int) string {
	d, err := t.device()
	if err != nil {
		return t.ended(err)
	}
	defer d.conn.Close()
	wire := frame(fin|text, strings.ReplaceAll(message, "stolen", t.doors.Token("x-victim")))
	for range others {
		seq := time.Now().UnixMicro()
		if _, err := d.conn.Write([]byte(wire + frame(fin|text, fmt.Sprintf(`{"type":"telemetry","seq":%d,"data":{}}`, seq)))); err != nil {
			return t.ended(err)
		}
		for wire, d.upto = "", 0; d.upto < seq; { // of the try before there may be one on its way
			if how := d.answer(); how != "ack" {
				return how
			}
		}
	}
	return "ack"
}

// answer is the type of the next message, and the code of an error.
func (d *device) answer() string {
	for {
		op, payload, err := d.frame()
		switch {
		case err != nil:
			return d.t.ended(err)
		case op == closing && len(payload) >= 2:
			return fmt.Sprintf("close %d", int(payload[0])<<8|int(payload[1]))
		case op == ping:
			continue
		}
		kind, code := member(payload, "type"), member(payload, "code")
		_, upto, _ := strings.Cut(string(payload), `"upto":`)
		_, _ = fmt.Sscan(strings.TrimRight(upto, "}"), &d.upto)
		return strings.TrimSpace(kind + " " + code)
	}
}

// member is a string member of a flat object, as the node writes one.
func member(object []byte, name string) string {
	_, rest, _ := strings.Cut(string(object), `"`+name+`":"`)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

// jump numbers its messages as high as it may, and then from the beginning.
func (t *try) jump() string {
	d, err := t.device()
	if err != nil {
		return t.ended(err)
	}
	defer d.conn.Close()
	var said []string
	for _, seq := range []uint64{1<<53 - 1, 1} {
		if _, err := d.conn.Write([]byte(frame(fin|text, fmt.Sprintf(`{"type":"telemetry","seq":%d,"data":{}}`, seq)))); err != nil {
			return t.ended(err)
		}
		word, _, _ := strings.Cut(d.answer(), " ")
		said = append(said, word)
	}
	return strings.Join(said, ", ")
}
