package uplog

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"
	"unicode/utf8"
)

// Completion hears what became of the records that name it: the committer counts
// each of them once, in a call of Durable or of Overtaken. It makes one call for
// those that lie one behind another in what it stores, so records that belong
// together should share a Completion; it is compared with ==. It is not touched any
// more once all its records were counted. The calls must not block: the next batch
// waits.
type Completion interface {
	// Durable says that n records are as durable as Config.Durability asks. seq is
	// the highest Seq of them, 0 when none has one. Calls for one device come in the
	// order of the log.
	Durable(seq uint64, n int)
	// Overtaken says that n records, likewise, are not in the log and never will be:
	// another node has written of the device since Record.After. A sender that made
	// them on what it knew then must not send any other of the device.
	Overtaken(seq uint64, n int)
	// Wanted is asked by the committer before a record goes to a log that other
	// nodes write too. False drops it, and Overtaken is called.
	Wanted() bool
}

// Placer is what the Completion of a record with Retain may be too, on a log that this node alone
// writes. Placed hears at which position the record is durable, and as which line, which is
// borrowed until return: before Log.Durable and before Durable say so, in the order of the log, and
// once. It must not block.
type Placer interface {
	Placed(position uint64, line []byte)
}

// Record is one message of a device on its way into the log.
type Record struct {
	Tenant, Device string // neither empty
	Epoch          uint64 // of the connection that sent it
	Seq            uint64 // the device's own sequence; 0: none
	// High is the highest sequence durable or accepted before this record, for a
	// record without Seq: it keeps Last exact when this is the device's last.
	High uint64
	// Session is what the device's protocol keeps of it beyond its connection, printable
	// ASCII without quotes and backslashes; "" is nothing. Last gives that of the last record.
	Session string
	// After is the position that Last found when the connection began. The embedded
	// log, which only this node writes, does not need it.
	After uint64
	Type  string // "telemetry", "status", "alert"; "session"; "reset" without Seq and High
	// Event says that the record is about the device and not by it: it does not count for
	// Last, and no fence is about it (docs/decisions/0053). Without Seq, High and After.
	Event    bool
	Topic    []byte // borrowed until Append returns; nil: none
	Level    []byte // of an alert, borrowed as Topic is; nil: none
	TS       int64  // the device's own time, Unix milliseconds; 0: none
	Received int64  // Unix milliseconds
	// Properties is what came beside Data, a JSON object on one line, borrowed as Topic is; nil: nothing.
	Properties []byte
	// Data is borrowed until Append returns. It must be valid JSON, or Base64 set;
	// every reader of the log has to parse it.
	Data []byte
	// MQTT is one more than the QoS with which it came by MQTT; 0: it came otherwise.
	MQTT   uint8
	Retain bool       // its publisher wants it retained: see Placer
	Base64 bool       // Data is anything, and stored in base64
	Done   Completion // nil: nobody asks
}

// appendRecord appends r as the one line of JSON that is stored and that Read
// gives back.
func appendRecord(dst []byte, r *Record) []byte {
	dst = appendQuoted(append(dst, `{"tenant":`...), r.Tenant)
	dst = appendQuoted(append(dst, `,"device":`...), r.Device)
	dst = strconv.AppendUint(append(dst, `,"epoch":`...), r.Epoch, 10)
	switch {
	case r.Seq != 0:
		dst = strconv.AppendUint(append(dst, `,"seq":`...), r.Seq, 10)
	case r.High != 0:
		dst = strconv.AppendUint(append(dst, `,"high":`...), r.High, 10)
	}
	if r.Session != "" {
		dst = appendQuoted(append(dst, `,"session":`...), r.Session)
	}
	dst = appendQuoted(append(dst, `,"type":`...), r.Type)
	if len(r.Topic) > 0 {
		dst = appendQuoted(append(dst, `,"topic":`...), r.Topic)
	}
	if len(r.Level) > 0 {
		dst = appendQuoted(append(dst, `,"level":`...), r.Level)
	}
	if r.TS != 0 {
		dst = strconv.AppendInt(append(dst, `,"ts":`...), r.TS, 10)
	}
	dst = strconv.AppendInt(append(dst, `,"received":`...), r.Received, 10)
	if r.MQTT != 0 {
		dst = strconv.AppendUint(append(dst, `,"qos":`...), uint64(r.MQTT-1), 10)
	}
	if r.Retain {
		dst = append(dst, `,"retain":true`...)
	}
	if len(r.Properties) > 0 {
		dst = append(append(dst, `,"properties":`...), r.Properties...)
	}
	dst = appendData(append(dst, `,"data":`...), r)
	return append(dst, '}')
}

func appendData(dst []byte, r *Record) []byte {
	if len(r.Data) == 0 && !r.Base64 {
		return append(dst, "null"...)
	}
	if r.Base64 {
		dst = base64.StdEncoding.AppendEncode(append(dst, '"'), r.Data)
		return append(dst, `","encoding":"base64"`...)
	}
	from := len(dst)
	dst = append(dst, r.Data...)
	// A line break in JSON can only be white space between tokens.
	blank(dst[from:], '\n')
	blank(dst[from:], '\r')
	return dst
}

// blank makes each c of b a space.
func blank(b []byte, c byte) {
	for i := bytes.IndexByte(b, c); i >= 0; i = bytes.IndexByte(b, c) {
		b[i] = ' '
		b = b[i+1:]
	}
}

const hexDigits = "0123456789ABCDEF"

// appendQuoted appends s as a JSON string. Invalid UTF-8 becomes U+FFFD.
func appendQuoted[S string | []byte](dst []byte, s S) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		plain := i
		for plain < len(s) && plainInJSON(s[plain]) {
			plain++
		}
		if dst = append(dst, s[i:plain]...); plain == len(s) {
			break
		}
		i = plain
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		default:
			r, n := decodeRune(s[i:])
			dst = utf8.AppendRune(dst, r)
			i += n
			continue
		}
		i++
	}
	return append(dst, '"')
}

// plainInJSON says whether a byte stands for itself in a JSON string, whatever is around it.
func plainInJSON(c byte) bool { return c >= ' ' && c < utf8.RuneSelf && c != '"' && c != '\\' }

func decodeRune[S string | []byte](s S) (rune, int) {
	var b [utf8.UTFMax]byte
	return utf8.DecodeRune(b[:copy(b[:], s)])
}

// lastOfLine is lastIn for a line as appendRecord makes it, without an allocation;
// another is read as any JSON.
func lastOfLine(line []byte) (Last, error) {
	var l Last
	rest, ok := bytes.CutPrefix(line, []byte(`{"tenant":`))
	rest, ok2 := afterString(rest)
	rest, ok3 := bytes.CutPrefix(rest, []byte(`,"device":`))
	rest, ok4 := afterString(rest)
	rest, ok5 := bytes.CutPrefix(rest, []byte(`,"epoch":`))
	if !ok || !ok2 || !ok3 || !ok4 || !ok5 {
		return lastIn(line)
	}
	l.Epoch, rest, ok = cutNumber(rest)
	for _, key := range []string{`,"seq":`, `,"high":`} {
		if number, has := bytes.CutPrefix(rest, []byte(key)); has && ok {
			l.Seq, rest, ok = cutNumber(number)
		}
	}
	if text, has := bytes.CutPrefix(rest, []byte(`,"session":"`)); has && ok {
		var session []byte
		if session, rest, ok = bytes.Cut(text, []byte{'"'}); ok {
			l.Session = string(session)
		}
	}
	if !ok || !bytes.HasPrefix(rest, []byte(`,"type":`)) {
		return lastIn(line)
	}
	return l, nil
}

// afterString is what follows the JSON string at the front of b.
func afterString(b []byte) ([]byte, bool) {
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return b[i+1:], b[0] == '"'
		}
	}
	return nil, false
}

// cutNumber takes the digits off the front of b.
func cutNumber(b []byte) (n uint64, rest []byte, ok bool) {
	i := 0
	for ; i < len(b) && b[i] >= '0' && b[i] <= '9'; i++ {
		if n > (1<<64-1)/10-1 {
			return 0, nil, false
		}
		n = n*10 + uint64(b[i]-'0')
	}
	return n, b[i:], i > 0
}

// lastIn reads from a stored line the sequence it makes durable, its own or the one
// that was highest when it had none, and the epoch. All stand before "type", so
// what the device sent is not looked at.
func lastIn(line []byte) (l Last, err error) {
	d := json.NewDecoder(bytes.NewReader(line))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return l, errors.Join(errors.New("backbone: a stored record is not an object"), err)
	}
	for d.More() {
		key, err := d.Token()
		if err != nil || key == "type" {
			return l, err
		}
		switch key {
		case "epoch":
			err = d.Decode(&l.Epoch)
		case "seq", "high":
			err = d.Decode(&l.Seq)
		case "session":
			err = d.Decode(&l.Session)
		default:
			_, err = d.Token()
		}
		if err != nil {
			return l, err
		}
	}
	return l, nil
}
