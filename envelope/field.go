package envelope

// field is one key of a message, in all encodings.
type field uint8

const (
	fieldType field = iota
	fieldSeq
	fieldTopic
	fieldTS
	fieldData
	fieldID
	fieldName
	fieldOK
	fieldCode
	fieldText
	fieldLevel
	fieldUpto
	fieldEpoch
	fieldHeartbeat
	fieldWindow
	fieldGroup
	fieldToken

	numFields
)

// fieldSet is a set of fields, one bit each.
type fieldSet uint32

const (
	setType      fieldSet = 1 << fieldType
	setSeq       fieldSet = 1 << fieldSeq
	setTopic     fieldSet = 1 << fieldTopic
	setTS        fieldSet = 1 << fieldTS
	setData      fieldSet = 1 << fieldData
	setID        fieldSet = 1 << fieldID
	setName      fieldSet = 1 << fieldName
	setOK        fieldSet = 1 << fieldOK
	setCode      fieldSet = 1 << fieldCode
	setText      fieldSet = 1 << fieldText
	setLevel     fieldSet = 1 << fieldLevel
	setUpto      fieldSet = 1 << fieldUpto
	setEpoch     fieldSet = 1 << fieldEpoch
	setHeartbeat fieldSet = 1 << fieldHeartbeat
	setWindow    fieldSet = 1 << fieldWindow
	setGroup     fieldSet = 1 << fieldGroup
	setToken     fieldSet = 1 << fieldToken
)

// Limits of what a message may hold. Lengths are bytes of UTF-8 after
// unescaping.
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
	MaxPayload = 1<<24 - 1 // bytes, what the three length bytes of a frame can say
)
