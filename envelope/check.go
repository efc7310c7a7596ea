package envelope

import (
	"math/bits"
	"strconv"
	"unicode/utf8"
)

// All encodings share these checks, once they know the bytes or the number of a field.

// checkNumber says what is wrong with an integer for f, given as sign and magnitude; nil if
// nothing is. JSON gives magnitude MaxUint64 for a value that is not an integer.
func checkNumber(f field, negative bool, magnitude uint64) *Fault {
	row := &fields[f]
	ok := magnitude <= row.max
	switch row.kind {
	case kindSeq:
		if ok && !negative && magnitude > 0 {
			return nil
		}
		return &Fault{Code: CodeBadSequence, Message: quoteField(f) + " must be an integer from 1 to " + strconv.Itoa(MaxSeq)}
	case kindTime:
		if ok {
			return nil
		}
		return badField(f, " must be an integer: milliseconds since 1970")
	default:
		if ok && !negative {
			return nil
		}
		return badField(f, " must be an integer from 0 to "+strconv.FormatUint(row.max, 10))
	}
}

// checkText says what is wrong with the string b for f; nil if nothing is.
func checkText(f field, b []byte) *Fault {
	row := &fields[f]
	if uint64(len(b)) > row.max {
		return &Fault{Code: CodeTooLarge, Message: quoteField(f) + " is " + strconv.Itoa(len(b)) +
			" bytes; allowed are up to " + strconv.FormatUint(row.max, 10)}
	}
	if row.kind == kindText && hasControl(b) {
		return badField(f, " has a control character; allowed is any other text")
	}
	return nil
}

// hasControl reports whether the UTF-8 text b has a control character: U+0000
// to U+001F or U+007F to U+009F.
func hasControl(b []byte) bool {
	for i, c := range b {
		if c < 0x20 || c == 0x7f || (c == 0xc2 && i+1 < len(b) && b[i+1] < 0xa0) {
			return true
		}
	}
	return false
}

// checkComplete names a field that t must carry and present lacks; nil if there is none.
func checkComplete(t Type, present fieldSet) *Fault {
	must := rules[t].must
	if must&^present == 0 {
		return nil
	}
	f := field(bits.TrailingZeros32(uint32(must &^ present)))
	return badField(f, " is missing; "+t.String()+" must carry "+listFields(must)+" and may carry "+listFields(rules[t].may))
}

// resolveType decides the type of a message. frameType is the type byte of the frame, or 0
// without a frame; name is the type in the payload, nil if it has none. In a frame the
// frameType decides: the payload may only agree with it or, in a frame of type 0x09, say
// leave.
func resolveType(reader side, frameType Type, name []byte) (Type, *Fault) {
	t := frameType
	if name != nil {
		t = typeByName(name)
	}
	switch {
	case frameType == 0 && name == nil:
		return 0, badField(fieldType, " is missing; allowed are "+listTypes(reader))
	case t == 0 || t >= numTypes || rules[t].readers&reader == 0:
		what := "type 0x" + hexadecimal(uint32(frameType), 2)
		if name != nil {
			what = `"type" ` + quoteCut(name)
		}
		return 0, &Fault{Code: CodeUnsupportedType, Message: what + " is not supported; allowed are " + listTypes(reader)}
	case frameType != 0 && t.wire() != frameType.wire():
		return 0, badField(fieldType, " is "+quoteCut(name)+" but the frame says "+frameType.String()+"; leave it out or let it agree")
	}
	return t, nil
}

func badField(f field, problem string) *Fault {
	return &Fault{Code: CodeBadEnvelope, Message: quoteField(f) + problem}
}

func quoteField(f field) string { return `"` + fields[f].name + `"` }

// quoteCut quotes at most 32 bytes of what a peer sent.
func quoteCut(b []byte) string {
	const most = 32
	if len(b) <= most {
		return strconv.Quote(string(b))
	}
	for b = b[:most]; len(b) > 0 && !utf8.Valid(b); {
		b = b[:len(b)-1]
	}
	return strconv.Quote(string(b)) + "…"
}

func listFields(s fieldSet) string {
	var list string
	for f := range numFields {
		if s.has(f) {
			list = join(list, quoteField(f))
		}
	}
	if list == "" {
		return "nothing else"
	}
	return list
}

func listTypes(reader side) string {
	var list string
	for t := range numTypes {
		if rules[t].readers&reader != 0 {
			list = join(list, t.String())
		}
	}
	return list
}

func join(list, item string) string {
	if list == "" {
		return item
	}
	return list + ", " + item
}

func signed(negative bool, magnitude uint64) int64 {
	if negative {
		return -int64(magnitude)
	}
	return int64(magnitude)
}
