package envelope

import (
	"math"
	"math/bits"
	"strconv"
	"unicode/utf8"
)

// members holds the members of an object that are fields of a message. They are recognised
// but not yet interpreted, because the type may come last.
type members struct {
	seen    fieldSet            // named in the object
	present fieldSet            // and not null
	value   [numFields]rawValue // of those in present
}

// decodeJSON reads the object b into m, which must be empty. frameType is the type byte of the
// frame around it, or 0. After a fault m is half filled.
func decodeJSON(reader side, frameType Type, b []byte, m *Message) *Fault {
	var in members
	fault := in.scan(b)
	if fault == nil {
		fault = in.interpret(reader, frameType, m)
	}
	if fault != nil && in.present.has(fieldSeq) {
		if negative, n := in.value[fieldSeq].integer(); checkNumber(fieldSeq, negative, n) == nil {
			fault.Seq = n
		}
	}
	return fault
}

// scan recognises all of b and finds the fields in it.
func (in *members) scan(b []byte) *Fault {
	if !utf8.Valid(b) {
		return badJSON(0, scanUTF8)
	}
	i := skipSpace(b, 0)
	switch {
	case i >= len(b):
		return badJSON(i, scanEnd)
	case b[i] != '{':
		return badJSON(i, scanNotObject)
	}
	i = skipSpace(b, i+1)
	done := i < len(b) && b[i] == '}'
	if done {
		i++
	}
	for !done {
		next, name, err := scanMemberName(b, i)
		if err != scanOK {
			return badJSON(next, err)
		}
		f := fieldOf(name)
		if f != numFields && in.seen.has(f) {
			in.present &^= 1 << f // it is unknown which of the two was meant
			return badField(f, " is there twice; allowed is once")
		}
		next, v, err := scanMember(b, next)
		if err != scanOK {
			return badJSON(next, err)
		}
		if f != numFields {
			in.put(f, v)
		}
		if i, done, err = scanMemberEnd(b, next); err != scanOK {
			return badJSON(i, err)
		}
	}
	if i = skipSpace(b, i); i != len(b) {
		return badJSON(i, scanTrailing)
	}
	return nil
}

// put records a member. null means an absent field, as in the structs of most languages; only
// as data it is a value.
func (in *members) put(f field, v rawValue) {
	in.seen |= 1 << f
	if f == fieldData || !v.isNull() {
		in.present |= 1 << f
		in.value[f] = v
	}
}

// interpret fills m from the members its type may carry.
func (in *members) interpret(reader side, frameType Type, m *Message) *Fault {
	var name []byte
	if in.present.has(fieldType) {
		v := in.value[fieldType]
		if !v.isString() {
			return badField(fieldType, " must be a string; allowed are "+listTypes(reader))
		}
		name = v.text(m)
	}
	t, fault := resolveType(reader, frameType, name)
	if fault != nil {
		return fault
	}
	m.Type = t
	present := in.present & (rules[t].must | rules[t].may)
	for rest := present; rest != 0; rest &= rest - 1 {
		f := field(bits.TrailingZeros32(uint32(rest)))
		if fault := in.value[f].interpret(f, m); fault != nil {
			return fault
		}
		if p := m.bytes(f); p != nil && len(*p) == 0 {
			*p = nil // an empty string means none
			present &^= 1 << f
		}
	}
	return checkComplete(t, present)
}

// interpret stores v as the field f of m.
func (v rawValue) interpret(f field, m *Message) *Fault {
	switch fields[f].kind {
	case kindData:
		m.Data = v.b
		return nil
	case kindBool:
		if v.b[0] != 't' && v.b[0] != 'f' {
			return badField(f, " must be true or false")
		}
		m.OK = v.b[0] == 't'
		return nil
	case kindText, kindProse:
		if !v.isString() {
			return badField(f, " must be a string")
		}
		b := v.text(m)
		*m.bytes(f) = b
		return checkText(f, b)
	default:
		negative, n := v.integer()
		if fault := checkNumber(f, negative, n); fault != nil {
			return fault
		}
		m.setNumber(f, signed(negative, n))
		return nil
	}
}

// rawValue is one JSON value, recognised.
type rawValue struct {
	b       []byte
	escaped bool // a string with a backslash
}

func (v rawValue) isString() bool { return v.b[0] == '"' }

func (v rawValue) isNull() bool { return v.b[0] == 'n' }

// text is the string v unescaped: in place if possible, else in m's scratch.
func (v rawValue) text(m *Message) []byte {
	s := v.b[1 : len(v.b)-1 : len(v.b)-1]
	if !v.escaped {
		return s
	}
	start := len(m.scratch)
	m.scratch = appendUnescaped(m.scratch, s)
	return m.scratch[start:len(m.scratch):len(m.scratch)]
}

// integer is the sign and magnitude of v. The magnitude is MaxUint64 if v is not an integer
// or has more than 16 digits.
func (v rawValue) integer() (negative bool, magnitude uint64) {
	digits := v.b
	if digits[0] == '-' {
		negative, digits = true, digits[1:]
	}
	if len(digits) > 16 {
		return negative, math.MaxUint64
	}
	for _, c := range digits {
		if c -= '0'; c > 9 {
			return negative, math.MaxUint64
		}
		magnitude = magnitude*10 + uint64(c)
	}
	return negative, magnitude
}

// scanMember recognises the value at b[i] inside the message's object.
func scanMember(b []byte, i int) (next int, v rawValue, err scanError) {
	if i < len(b) && b[i] == '"' {
		next, v.escaped, err = scanString(b, i)
	} else {
		next, err = scanValue(b, i, 1)
	}
	v.b = b[i:next:next]
	return next, v, err
}

// fieldOf finds the field with a member's name, or numFields.
func fieldOf(name rawValue) field {
	s := name.b[1 : len(name.b)-1]
	if !name.escaped {
		return fieldByName(s)
	}
	var short [16]byte
	if len(s) > 6*len(short) {
		return numFields // longer than any field's name, even if escaped
	}
	return fieldByName(appendUnescaped(short[:0], s))
}

func badJSON(at int, err scanError) *Fault {
	code := CodeBadEnvelope
	if err == scanDeep {
		code = CodeTooLarge
	}
	return &Fault{Code: code, Message: "not a JSON message: at byte " + strconv.Itoa(at) + ": " + scanErrorText[err]}
}
