package envelope

// Type is the type of a message. Its value is the type byte of the binary frame, except that
// TypeLeave shares the byte of TypeJoin.
type Type uint8

// The types of the protocol. NumTypes is the size of an array indexed by Type.
const (
	TypeHeartbeat Type = 0x01
	TypeTelemetry Type = 0x02
	TypeStatus    Type = 0x03
	TypeAlert     Type = 0x04
	TypeAck       Type = 0x05
	TypeCommand   Type = 0x06
	TypeReply     Type = 0x07
	TypeWelcome   Type = 0x08
	TypeJoin      Type = 0x09
	TypeToken     Type = 0x0A
	TypeLeave     Type = 0x0B // never on the wire: a frame of type 0x09 that says leave
	TypeError     Type = 0x0F

	NumTypes = int(numTypes)

	numTypes Type = 0x10
)

// side is the reader: each reads what the other may send.
type side uint8

const (
	nodeSide   side = 1 << iota // reads what devices send
	deviceSide                  // reads what the node sends
)

// rule is one row of the protocol: the readers of a type, the fields that it may carry, and
// those that it must. Other fields are ignored like unknown ones.
type rule struct {
	name    string
	readers side
	must    fieldSet
	may     fieldSet
}

// rules is the table of what each type carries. It is never written.
var rules = [numTypes]rule{
	TypeHeartbeat: {"heartbeat", nodeSide | deviceSide, 0, 0},
	TypeTelemetry: {"telemetry", nodeSide, setData, setSeq | setTopic | setTS},
	TypeStatus:    {"status", nodeSide, setData, setSeq | setTopic | setTS},
	TypeAlert:     {"alert", nodeSide, setData, setSeq | setTopic | setTS | setLevel},
	TypeAck:       {"ack", deviceSide, setUpto, 0},
	TypeCommand:   {"command", deviceSide, setID | setName, setData},
	TypeReply:     {"reply", nodeSide, setID | setOK, setData | setCode | setText},
	TypeWelcome:   {"welcome", deviceSide, setEpoch | setUpto | setHeartbeat | setWindow, 0},
	TypeJoin:      {"join", nodeSide, setGroup, 0},
	TypeToken:     {"token", nodeSide, setToken, 0},
	TypeLeave:     {"leave", nodeSide, setGroup, 0},
	TypeError:     {"error", deviceSide, setCode, setText | setSeq},
}

// String is the type's name in JSON, or "unknown".
func (t Type) String() string {
	if !t.known() {
		return "unknown"
	}
	return rules[t].name
}

func (t Type) known() bool { return t < numTypes && rules[t].name != "" }

// FromDevice reports whether devices may send the type.
func (t Type) FromDevice() bool { return t.known() && rules[t].readers&nodeSide != 0 }

// Sequenced reports whether the type may carry a sequence that is acknowledged:
// telemetry, status and alert.
func (t Type) Sequenced() bool { return t >= TypeTelemetry && t <= TypeAlert }

// wire is the type byte of the binary frame.
func (t Type) wire() byte {
	if t == TypeLeave {
		return byte(TypeJoin)
	}
	return byte(t)
}

// typeByName finds the type with the JSON name b, or 0.
func typeByName(b []byte) Type {
	switch string(b) {
	case "telemetry":
		return TypeTelemetry
	case "heartbeat":
		return TypeHeartbeat
	case "status":
		return TypeStatus
	case "alert":
		return TypeAlert
	case "reply":
		return TypeReply
	case "ack":
		return TypeAck
	case "command":
		return TypeCommand
	case "welcome":
		return TypeWelcome
	case "join":
		return TypeJoin
	case "leave":
		return TypeLeave
	case "token":
		return TypeToken
	case "error":
		return TypeError
	}
	return 0
}
