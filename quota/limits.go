package quota

import "strings"

// Limits are what one tenant may use. Zero is no limit.
type Limits struct {
	// Connections at a time.
	Connections int64
	// Messages and Bytes a second that its devices may send together, in the long run; a
	// second's worth may come at once. Bytes are of messages with 5 for each.
	Messages, Bytes int64
	// Commands that may wait for its devices.
	Commands int64
	// Stored bytes of the log.
	Stored int64
	// Groups that its connected devices may be in.
	Groups int64
}

// A Field is one of the limits.
type Field struct {
	Name string // as in the configuration, with _
	Most int64  // what is counted with still fits
	Help string
	Of   func(*Limits) *int64
}

// InBytes says that the limit is one of bytes, or bytes a second.
func (f *Field) InBytes() bool { return strings.Contains(f.Name, "bytes") }

// Fields are all limits, in the order of the documentation.
var Fields = [...]Field{
	{"max_connections", 1 << 30, "Connected devices of the tenant; a new one is answered 429. 0 is no limit.", func(l *Limits) *int64 { return &l.Connections }},
	{"messages_per_second", 1 << 30, "Messages a second that its devices send together; above it reading from them pauses. 0 is no limit.", func(l *Limits) *int64 { return &l.Messages }},
	{"bytes_per_second", 1 << 40, "The same for bytes. 0 is no limit.", func(l *Limits) *int64 { return &l.Bytes }},
	{"stored_commands", 1 << 30, "Commands that wait for its devices; one more is answered 429. 0 is no limit.", func(l *Limits) *int64 { return &l.Commands }},
	{"stored_bytes", 1 << 50, "Bytes of the log that its records take; a message beyond is refused with the error quota. 0 is no limit.", func(l *Limits) *int64 { return &l.Stored }},
	{"groups", 1 << 30, "Groups that its connected devices are in; one more is an error of the device. 0 is no limit.", func(l *Limits) *int64 { return &l.Groups }},
}

// A Kind is what of a tenant can be used up. The list is closed; it labels the metric
// edgeloop_quota_over_total.
type Kind uint8

// The kinds.
const (
	Connections Kind = iota // a connection was refused: 429, in MQTT 0x97
	Rate                    // reading from a connection paused
	Commands                // a command was refused: 429
	Groups                  // a device was told the error "quota"
	Stored                  // a message was refused: the error "quota", in MQTT 0x97
	numKinds
)

// NumKinds is how many there are; they count from zero.
const NumKinds = int(numKinds)

// String is the metric label.
func (k Kind) String() string {
	if k >= numKinds {
		return "unknown"
	}
	return [numKinds]string{"connections", "rate", "commands", "groups", "stored_bytes"}[k]
}
