package envelope

import (
	"math"
	"math/bits"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// This file implements the wire form of proto/edgeloop.proto by hand, because generated code
// and dynamic messages allocate. The tests compare it with the protobuf module's decoder.

// fieldByProto finds a field by its number; never written.
var fieldByProto = func() (t [18]field) {
	for i := range t {
		t[i] = numFields
	}
	for f := range numFields {
		t[fields[f].proto] = f
	}
	return t
}()

// protoValue is the last value of a field: a number or bytes, depending on its kind.
type protoValue struct {
	n uint64
	b []byte
}

// decodeProto reads the message b into m, which must be empty. frameType is the type byte of the
// frame. After a fault m is half filled.
func decodeProto(reader side, frameType Type, b []byte, m *Message) *Fault {
	var in [numFields]protoValue
	fault := scanProto(b, &in)
	if fault == nil {
		fault = interpretProto(reader, frameType, &in, m)
	}
	if seq := in[fieldSeq].n; fault != nil && checkNumber(fieldSeq, false, seq) == nil {
		fault.Seq = seq
	}
	return fault
}

// scanProto finds the fields in b. As in protobuf, the last value of a field counts, and
// unknown fields and wire types are skipped.
func scanProto(b []byte, in *[numFields]protoValue) *Fault {
	for len(b) > 0 {
		number, wireType, n := protowire.ConsumeTag(b)
		if n < 0 || number > protowire.MaxValidNumber {
			return badProto("a field's tag is broken")
		}
		b = b[n:]
		f := numFields
		if int(number) < len(fieldByProto) {
			f = fieldByProto[number]
		}
		switch {
		case wireType == protowire.StartGroupType:
			// Groups nest, and proto3 has none.
			return badProto("groups are not supported")
		case f == numFields || wireTypeOf(f) != wireType:
			n = protowire.ConsumeFieldValue(number, wireType, b)
		case wireType == protowire.VarintType:
			in[f].n, n = protowire.ConsumeVarint(b)
		default:
			in[f].b, n = protowire.ConsumeBytes(b)
			if f != fieldData && !utf8.Valid(in[f].b) {
				return badField(f, " must be UTF-8")
			}
		}
		if n < 0 {
			return badProto("a field's value is broken or cut off")
		}
		b = b[n:]
	}
	return nil
}

func wireTypeOf(f field) protowire.Type {
	switch fields[f].kind {
	case kindText, kindProse, kindData:
		return protowire.BytesType
	default:
		return protowire.VarintType
	}
}

// interpretProto fills m from the fields that its type may carry. proto3 does not distinguish
// zero from absent, so only strings can be missing.
func interpretProto(reader side, frameType Type, in *[numFields]protoValue, m *Message) *Fault {
	var name []byte
	if len(in[fieldType].b) > 0 {
		name = in[fieldType].b
	}
	t, fault := resolveType(reader, frameType, name)
	if fault != nil {
		return fault
	}
	m.Type = t
	present := rules[t].must | rules[t].may
	for rest := present; rest != 0; rest &= rest - 1 {
		f := field(bits.TrailingZeros32(uint32(rest)))
		switch v := in[f]; fields[f].kind {
		case kindData:
			m.Data = v.b
			if v.b == nil && rules[t].must.has(f) {
				m.Data = []byte{} // zero-size, so not allocated
			}
		case kindBool:
			m.OK = v.n != 0
		case kindText, kindProse:
			if len(v.b) == 0 {
				present &^= 1 << f
				continue
			}
			*m.bytes(f) = v.b[:len(v.b):len(v.b)]
			fault = checkText(f, v.b)
		default:
			fault = v.number(f, m)
		}
		if fault != nil {
			return fault
		}
	}
	return checkComplete(t, present)
}

// number stores v as the integer field f of m; zero means absent.
func (v protoValue) number(f field, m *Message) *Fault {
	n, negative := v.n, false
	switch {
	case n == 0:
		return nil
	case fields[f].kind == kindTime && int64(n) < 0:
		n, negative = -n, true
	case fields[f].max <= math.MaxInt32:
		n = uint64(uint32(n)) // uint32 in the .proto: protobuf drops the rest
	}
	if fault := checkNumber(f, negative, n); fault != nil {
		return fault
	}
	m.setNumber(f, signed(negative, n))
	return nil
}

// appendProto appends the protobuf message that carries m.
func appendProto(dst []byte, m *Message) []byte {
	if m.Type == TypeLeave { // the frame's type is join's
		dst = protowire.AppendTag(dst, protowire.Number(fields[fieldType].proto), protowire.BytesType)
		dst = protowire.AppendString(dst, TypeLeave.String())
	}
	row := &rules[m.Type]
	for rest := m.present(row.must | row.may); rest != 0; rest &= rest - 1 {
		f := field(bits.TrailingZeros32(uint32(rest)))
		dst = protowire.AppendTag(dst, protowire.Number(fields[f].proto), wireTypeOf(f))
		if p := m.bytes(f); p != nil {
			dst = protowire.AppendBytes(dst, *p)
		} else {
			dst = protowire.AppendVarint(dst, uint64(m.number(f)))
		}
	}
	return dst
}

func badProto(problem string) *Fault {
	return &Fault{Code: CodeBadEnvelope, Message: "not a protobuf message: " + problem + "; see edgeloop.proto"}
}
