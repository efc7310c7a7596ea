package fleet

import (
	"bytes"
	"fmt"

	"github.com/gobwas/ws"
)

// kind says what a message from the node is.
type kind uint8

const (
	isOther kind = iota
	isEcho
	isWelcome
	isAck
	isCommand
	isMessage // of a topic
	isFault
	isBroken
)

// event is one message from the node, read by a dialect.
type event struct {
	kind   kind
	seq    uint64 // echo: its number; ack, welcome: up to where
	device uint32 // echo: who sent it
	due    int64  // echo: when it was due
	sent   int64  // echo: when it was written
	window int    // welcome: messages in flight
	id     []byte // command; borrows the message
	code   string // fault
	number uint64 // broadcast: its number, 0 for a plain command
	stamp  int64  // command, broadcast: when it was sent, 0 if it does not say
}

// dialect is the language of a device above WebSocket, or on TCP: what it writes and how
// it reads the node. Stateless but for scratch memory: one per loop.
type dialect interface {
	protocol() string
	op() ws.OpCode
	welcomes() bool // the node greets each device before it may speak
	telemetry(dst []byte, seq uint64, due int64, size int) []byte
	heartbeat(dst []byte) []byte // nil: a WebSocket ping is sent instead
	reply(dst, id []byte) []byte // nil: commands are not answered
	read(payload []byte, e *event)
}

func newDialect(cfg Config) (dialect, error) {
	switch cfg.Dialect {
	case "raw":
		return raw{}, nil
	case "json":
		return jsonText{}, nil
	case "frame.json":
		return &jsonFrame{}, nil
	case "frame.proto":
		return &protoFrame{}, nil
	case "mqtt", "mqtt5":
		return newMQTT(cfg), nil
	}
	return nil, fmt.Errorf("%w: dialect %q: want raw, json, frame.json, frame.proto, mqtt or mqtt5", ErrConfig, cfg.Dialect)
}

// stamped reads `"n":17` and `"at":1795234836000000000` out of a broadcast's or
// command's data. Data that says neither yields zeros.
func stamped(data []byte, e *event) {
	e.number, _ = numberAfter(data, `"n":`)
	at, _ := numberAfter(data, `"at":`)
	e.stamp = int64(at)
}

// numberAfter reads the unsigned number that follows key.
func numberAfter(b []byte, key string) (v uint64, ok bool) {
	i := bytes.Index(b, []byte(key))
	if i < 0 {
		return 0, false
	}
	for _, c := range b[i+len(key):] {
		if c < '0' || c > '9' {
			break
		}
		v, ok = v*10+uint64(c-'0'), true
	}
	return v, ok
}
