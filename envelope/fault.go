package envelope

// The codes of error messages. This package makes those from bad_envelope to bad_crc, the
// gateway the others. docs/protocol.md says what a device does about each.
const (
	CodeBadEnvelope     = "bad_envelope"     // not JSON or protobuf, or a field is missing or wrong
	CodeUnsupportedType = "unsupported_type" // no such type, or not from a device
	CodeBadSequence     = "bad_sequence"     // seq is not an integer from 1 to MaxSeq
	CodeTooLarge        = "too_large"        // a field is longer, or nests deeper, than its limit
	CodeBadFrame        = "bad_frame"        // binary frame: magic, length, bytes too few or too many, text for binary or the reverse
	CodeBadCRC          = "bad_crc"          // binary frame: the checksum does not match
	CodeSequenceJump    = "sequence_jump"    // seq is further above the last one than the node allows
	CodeNotAllowed      = "not_allowed"      // the token does not allow this topic or group
	CodeBadToken        = "bad_token"        // a new token was refused
	CodeQuota           = "quota"            // the tenant has used up what it may
	CodeOverLimit       = "over_limit"       // too many groups, or another bound of the device
)

// Fault says why a message was not understood. It costs the message, not the connection.
// Seq is the message's sequence if it could be read, else 0.
type Fault struct {
	Code    string // one of the Code constants
	Message string // names the field, what is wrong and what is allowed
	Seq     uint64
}

// Error is the code and the message.
func (f *Fault) Error() string { return "envelope: " + f.Code + ": " + f.Message }
