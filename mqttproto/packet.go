package mqttproto

// Version is the level of the protocol as CONNECT gives it. The zero value stands for a
// connection whose CONNECT has not been decoded.
type Version byte

// The versions that are spoken here.
const (
	V311 Version = 4
	V5   Version = 5
)

// Type is the type of a control packet.
type Type byte

// The control packets.
const (
	CONNECT Type = iota + 1
	CONNACK
	PUBLISH
	PUBACK
	PUBREC
	PUBREL
	PUBCOMP
	SUBSCRIBE
	SUBACK
	UNSUBSCRIBE
	UNSUBACK
	PINGREQ
	PINGRESP
	DISCONNECT
	AUTH
	numTypes
)

var typeNames = [numTypes]string{
	"reserved", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBSCRIBE",
	"SUBACK", "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH",
}

// String returns the name as the specification writes it.
func (t Type) String() string {
	if t >= numTypes {
		return typeNames[0]
	}
	return typeNames[t]
}

// MaxPacket is the size of the largest packet that MQTT can express, bytes.
const MaxPacket = 5 + maxLength

const (
	maxLength = 268_435_455 // what four bytes of seven bits hold
	maxString = 65_535
)

// Packet is one whole control packet that has been cut off but not been looked into.
type Packet struct {
	Type  Type
	Flags byte   // the low half of the first byte, checked for all types
	Body  []byte // variable header and payload; a part of the bytes given to Next
	long  bool   // the remaining length is not in its shortest form
}

// Next cuts one packet off the front of in. n is its size in bytes. While the packet is
// not complete n is 0 and more says how many bytes are missing at least, which is exact once
// the remaining length is known: the caller keeps in, and calls again with those added.
//
// v is the version of the connection, 0 before its CONNECT has been decoded. limit is
// for the whole packet, in bytes; a packet over it, and a first byte that cannot be,
// is refused without waiting for the rest. err is an *Error.
func Next(in []byte, v Version, limit int) (p Packet, n, more int, err error) {
	if len(in) == 0 {
		return Packet{}, 0, 2, nil
	}
	p.Type, p.Flags = Type(in[0]>>4), in[0]&0x0f
	if fault := checkFirst(p.Type, p.Flags, v); fault != nil {
		return Packet{}, 0, 0, fault
	}
	length, size, ok := uvarint(in[1:])
	switch {
	case !ok:
		return Packet{}, 0, 0, ErrLength
	case size == 0:
		return Packet{}, 0, 1, nil
	case 1+size+length > limit:
		return Packet{}, 0, 0, ErrTooLarge // [MQTT-3.2.2-15]
	}
	if p.long = size != uvarintSize(length); p.long && v == V5 {
		return Packet{}, 0, 0, ErrLength // [MQTT-1.5.5-1]
	}
	n = 1 + size + length
	if n > len(in) {
		return Packet{}, 0, n - len(in), nil
	}
	p.Body = in[1+size : n : n]
	return p, n, 0, nil
}

// checkFirst checks what the first byte of a packet says.
func checkFirst(t Type, flags byte, v Version) *Error {
	switch t {
	case 0, CONNACK, SUBACK, UNSUBACK, PINGRESP:
		return ErrType
	case AUTH:
		if v == V311 {
			return ErrType
		}
	}
	switch {
	case v == 0 && t != CONNECT:
		return ErrConnectFirst // [MQTT-3.1.0-1]
	case v != 0 && t == CONNECT:
		return ErrConnectTwice // [MQTT-3.1.0-2]
	}
	switch t {
	case PUBLISH:
		switch {
		case flags&flagQoS == flagQoS:
			return ErrQoS // [MQTT-3.3.1-4]
		case flags&flagDup != 0 && flags&flagQoS == 0:
			return ErrDup // [MQTT-3.3.1-2]
		}
		return nil
	case PUBREL, SUBSCRIBE, UNSUBSCRIBE: // [MQTT-3.6.1-1] [MQTT-3.8.1-1] [MQTT-3.10.1-1]
		if flags != 2 {
			return ErrFlags
		}
		return nil
	}
	if flags != 0 { // [MQTT-2.1.3-1] [MQTT-3.14.1-1] [MQTT-3.15.1-1]
		return ErrFlags
	}
	return nil
}

// uvarint reads a variable byte integer. size is 0 while it is not complete; ok is false
// when it is longer than four bytes.
func uvarint(in []byte) (v, size int, ok bool) {
	for i := range min(len(in), 4) {
		v |= int(in[i]&0x7f) << (7 * i)
		if in[i] < 0x80 {
			return v, i + 1, true
		}
	}
	return 0, 0, len(in) < 4
}

// uvarintSize is the length of the shortest form of v in bytes.
func uvarintSize(v int) int {
	switch {
	case v < 1<<7:
		return 1
	case v < 1<<14:
		return 2
	case v < 1<<21:
		return 3
	}
	return 4
}

// appendUvarint appends the shortest form of v. [MQTT-1.5.5-1]
func appendUvarint(dst []byte, v int) []byte {
	for v >= 0x80 {
		dst = append(dst, byte(v)|0x80)
		v >>= 7
	}
	return append(dst, byte(v))
}
