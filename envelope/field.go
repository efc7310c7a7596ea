package envelope

// The limits of a message. Lengths are bytes of UTF-8 after unescaping.
const (
	MaxSeq     = 1<<53 - 1 // the largest integer that every JSON library keeps exact
	MaxTopic   = 256
	MaxID      = 64
	MaxName    = 128
	MaxCode    = 64
	MaxText    = 1024
	MaxLevel   = 32
	MaxGroup   = 64
	MaxToken   = 8192
	MaxDepth   = 128       // nesting of arrays and objects, the message itself included
	MaxPayload = 1<<24 - 1 // bytes, the most that the three length bytes of a frame can express
)

// field is one key of a message. The order of the constants is the order of writing.
type field uint8

const (
	fieldType field = iota
	fieldID
	fieldName
	fieldOK
	fieldCode
	fieldText
	fieldSeq
	fieldTopic
	fieldTS
	fieldLevel
	fieldData
	fieldEpoch
	fieldUpto
	fieldHeartbeat
	fieldWindow
	fieldGroup
	fieldToken

	numFields
)

// fieldSet is a set of fields, one bit each.
type fieldSet uint32

const (
	setID        fieldSet = 1 << fieldID
	setName      fieldSet = 1 << fieldName
	setOK        fieldSet = 1 << fieldOK
	setCode      fieldSet = 1 << fieldCode
	setText      fieldSet = 1 << fieldText
	setSeq       fieldSet = 1 << fieldSeq
	setTopic     fieldSet = 1 << fieldTopic
	setTS        fieldSet = 1 << fieldTS
	setLevel     fieldSet = 1 << fieldLevel
	setData      fieldSet = 1 << fieldData
	setEpoch     fieldSet = 1 << fieldEpoch
	setUpto      fieldSet = 1 << fieldUpto
	setHeartbeat fieldSet = 1 << fieldHeartbeat
	setWindow    fieldSet = 1 << fieldWindow
	setGroup     fieldSet = 1 << fieldGroup
	setToken     fieldSet = 1 << fieldToken
)

func (s fieldSet) has(f field) bool { return s&(1<<f) != 0 }

// kind says which values a field takes.
type kind uint8

const (
	kindText  kind = iota // string of at most max bytes, no control characters
	kindProse             // string of at most max bytes
	kindSeq               // integer 1..max
	kindCount             // integer 0..max
	kindTime              // integer -max..max
	kindBool
	kindData
)

// fields is the table of all fields. It is never written. proto is the number of the field in
// proto/edgeloop.proto.
var fields = [numFields]struct {
	name  string
	kind  kind
	max   uint64
	proto uint8
}{
	fieldType:      {"type", kindText, 16, 17},
	fieldID:        {"id", kindText, MaxID, 5},
	fieldName:      {"name", kindText, MaxName, 6},
	fieldOK:        {"ok", kindBool, 0, 7},
	fieldCode:      {"code", kindText, MaxCode, 8},
	fieldText:      {"message", kindProse, MaxText, 9},
	fieldSeq:       {"seq", kindSeq, MaxSeq, 1},
	fieldTopic:     {"topic", kindText, MaxTopic, 2},
	fieldTS:        {"ts", kindTime, MaxSeq, 3},
	fieldLevel:     {"level", kindText, MaxLevel, 10},
	fieldData:      {"data", kindData, 0, 4},
	fieldEpoch:     {"epoch", kindCount, MaxSeq, 11},
	fieldUpto:      {"upto", kindCount, MaxSeq, 12},
	fieldHeartbeat: {"heartbeat_s", kindCount, 1<<31 - 1, 13},
	fieldWindow:    {"window", kindCount, 1<<31 - 1, 14},
	fieldGroup:     {"group", kindText, MaxGroup, 15},
	fieldToken:     {"token", kindProse, MaxToken, 16},
}

// fieldByName finds the field with the JSON name b, or numFields.
func fieldByName(b []byte) field {
	switch string(b) {
	case "type":
		return fieldType
	case "seq":
		return fieldSeq
	case "topic":
		return fieldTopic
	case "ts":
		return fieldTS
	case "data":
		return fieldData
	case "level":
		return fieldLevel
	case "id":
		return fieldID
	case "name":
		return fieldName
	case "ok":
		return fieldOK
	case "code":
		return fieldCode
	case "message":
		return fieldText
	case "epoch":
		return fieldEpoch
	case "upto":
		return fieldUpto
	case "heartbeat_s":
		return fieldHeartbeat
	case "window":
		return fieldWindow
	case "group":
		return fieldGroup
	case "token":
		return fieldToken
	}
	return numFields
}
