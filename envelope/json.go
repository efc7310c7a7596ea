package envelope

import (
	"math/bits"
	"strconv"
	"unicode/utf8"
)

// jsonCodec is edgeloop.v1.json: one JSON object in a text message.
type jsonCodec struct{ reader side }

func (jsonCodec) Name() string { return ProtoJSON }

func (jsonCodec) Binary() bool { return false }

func (c jsonCodec) Decode(binary bool, payload []byte, m *Message) error {
	m.Reset()
	if binary {
		return &Fault{Code: CodeBadFrame, Message: "a binary message; " + ProtoJSON + " takes text messages"}
	}
	if f := decodeJSON(c.reader, 0, payload, m); f != nil {
		m.Reset()
		return f
	}
	return nil
}

func (jsonCodec) Append(dst []byte, m *Message) []byte { return appendJSON(dst, m) }

// appendJSON appends the object that carries m: every field that its type must carry, and
// those that it may carry and m has.
func appendJSON(dst []byte, m *Message) []byte {
	if !m.Type.known() {
		return dst
	}
	dst = append(dst, `{"type":"`...)
	dst = append(dst, m.Type.String()...)
	dst = append(dst, '"')
	row := &rules[m.Type]
	for rest := row.must | m.present(row.may); rest != 0; rest &= rest - 1 {
		f := field(bits.TrailingZeros32(uint32(rest)))
		dst = append(dst, ',', '"')
		dst = append(dst, fields[f].name...)
		dst = append(dst, '"', ':')
		switch fields[f].kind {
		case kindData:
			dst = appendData(dst, m.Data)
		case kindBool:
			dst = strconv.AppendBool(dst, m.OK)
		case kindText, kindProse:
			dst = AppendString(dst, *m.bytes(f))
		default:
			dst = strconv.AppendInt(dst, m.number(f), 10)
		}
	}
	return append(dst, '}')
}

func appendData(dst, data []byte) []byte {
	if len(data) == 0 {
		return append(dst, "null"...)
	}
	return append(dst, data...)
}

// AppendString appends s, borrowed until return, as a JSON string, with U+FFFD for bytes that
// are not UTF-8.
func AppendString(dst, s []byte) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		start := i
		for i < len(s) && plain[s[i]] && s[i] < utf8.RuneSelf {
			i++
		}
		dst = append(dst, s[start:i]...)
		if i == len(s) {
			break
		}
		switch c := s[i]; {
		case c >= utf8.RuneSelf:
			r, n := utf8.DecodeRune(s[i:])
			dst = utf8.AppendRune(dst, r)
			i += n
			continue
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i++
	}
	return append(dst, '"')
}
