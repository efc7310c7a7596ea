package api

import (
	"encoding/json"
	"time"
	"unicode/utf8"
)

// CommandRequest is the body of a command.
type CommandRequest struct {
	// Name of the command, 1 to MaxCommandName bytes.
	Name string `json:"name"`
	// Data is any JSON value, absent for none.
	Data json.RawMessage `json:"data,omitempty"`
	// TTL is how long the command may wait for an offline device; 0 leaves it
	// to the node, which keeps it for a minute, and only for a device that it knows.
	TTL Duration `json:"ttl,omitempty"`
	// Now: the command does not wait for an offline device. On the wire it is a TTL of "0s".
	Now bool `json:"-"`
}

// MaxCommandName is the longest name of a command, in bytes.
const MaxCommandName = 128

// MinTTL is the shortest time for which a command may wait.
const MinTTL = time.Second

// CheckCommandName returns a *FieldError for what cannot be the name of a command.
func CheckCommandName(name string) error {
	if name == "" || len(name) > MaxCommandName || !utf8.ValidString(name) {
		return &FieldError{Field: "name", Reason: "does not have 1 to 128 bytes of UTF-8", Min: 1, Max: MaxCommandName}
	}
	return nil
}

// Command is one command to one device.
type Command struct {
	Tenant, Device string
	CommandRequest

	// Wait is how long to wait for the reply; 0 does not wait.
	Wait Duration
}

// CommandState says what became of a command.
type CommandState string

// The states of a command.
const (
	// CommandReplied: the device answered; OK and Data are its reply.
	CommandReplied CommandState = "replied"
	// CommandSent: handed to the connection, and nobody waited.
	CommandSent CommandState = "sent"
	// CommandLeft: stored for a device that is not connected, or that confirms commands.
	CommandLeft CommandState = "left"
	// CommandNoReply: handed over, and no reply came within the wait.
	CommandNoReply CommandState = "no_reply"
)

// CommandResult is what became of a command.
type CommandResult struct {
	// ID is the node's name for the command; the reply carries it.
	ID    string
	State CommandState
	// Reply is the device's, set when State is CommandReplied; but for its ID.
	Reply Reply
	// Expires is until when it waits, when State is CommandLeft.
	Expires *time.Time
}

// Reply is the body of status 200: what the device answered.
type Reply struct {
	ID string `json:"id"`
	OK bool   `json:"ok"`
	// Code and Message say why a command was not carried out, as the device has it.
	Code    string          `json:"code,omitempty"`
	Message string          `json:"message,omitempty"`
	Data    json.RawMessage `json:"data"`
	// Encoding is "base64" when Data is a string that stands for bytes which are
	// not JSON.
	Encoding string `json:"encoding,omitempty"`
}

// Accepted is the body of status 202: the command has no reply yet.
type Accepted struct {
	ID string `json:"id"`
	// State is "sent" or "left".
	State CommandState `json:"state"`
	// Expires is until when a command that was left waits.
	Expires *time.Time `json:"expires,omitempty"`
}

// WaitingCommand is a command that waits for its device.
type WaitingCommand struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Stored  time.Time `json:"stored"`
	Expires time.Time `json:"expires"`
}

// WaitingCommands are those of one device, oldest first.
type WaitingCommands struct {
	Commands []WaitingCommand `json:"commands"`
}

// Cancelled says how many commands were taken back.
type Cancelled struct {
	Cancelled int `json:"cancelled"`
}

// Broadcast is one command to many connected devices: to a group of a tenant,
// to a tenant, or to all.
type Broadcast struct {
	Tenant string          `json:"tenant,omitempty"`
	Group  string          `json:"group,omitempty"`
	All    bool            `json:"all,omitempty"`
	Name   string          `json:"name"`
	Data   json.RawMessage `json:"data,omitempty"`
}

// BroadcastResult says to how many connections a broadcast was handed.
type BroadcastResult struct {
	ID      string `json:"id"`
	Devices int    `json:"devices"`
}
