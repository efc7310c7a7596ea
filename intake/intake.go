package intake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"edgeloop/sink/keys"
)

// A Command is for one device.
type Command struct {
	Tenant, Device, Name string
	// Data is one JSON value, or nil. It is borrowed until return.
	Data json.RawMessage
	// TTL is how long it may wait for its device; 0: as long as the source's key ttl says.
	TTL time.Duration
}

// A Refusal says that a message will never be a command, or that its command will never be
// taken.
type Refusal struct{ Reason string }

func (e *Refusal) Error() string { return e.Reason }

// Refuse makes a Refusal.
func Refuse(format string, args ...any) error { return &Refusal{fmt.Sprintf(format, args...)} }

// A Source is where commands come from. Its method is called by one goroutine.
type Source interface {
	// Run connects, calls up, and hands over what comes, one after the other, until ctx ends
	// or something fails. A message may be acknowledged when hand has returned nil for it, and
	// not otherwise. It returns soon after ctx ends, with nothing of it left.
	Run(ctx context.Context, up func(), hand Hand) error
}

// Hand takes one command, or what is wrong with a message that is none (a *Refusal). It
// returns nil when the message is dealt with for good, and waits as long as that takes; an
// error when ctx has ended before.
type Hand func(ctx context.Context, c Command, wrong error) error

// A Kind makes a source of its keys: it reads the ones it knows and connects to nothing. What
// is wrong with them it leaves to keys.Map.Fail.
type Kind func(m *keys.Map) Source

// Fields makes a command of the JSON object that has its name, data and ttl, as the admin API
// takes it. data is borrowed; the command has its own bytes.
func Fields(data []byte) (c Command, err error) {
	var in struct {
		Name string          `json:"name"`
		Data json.RawMessage `json:"data"`
		TTL  string          `json:"ttl"`
	}
	if err := json.Unmarshal(data, &in); err != nil {
		return c, Refuse(`is no JSON object with "name", and maybe "data" and "ttl": %s`, err)
	}
	c.Name, c.Data = in.Name, in.Data
	if in.TTL != "" {
		if c.TTL, err = time.ParseDuration(in.TTL); err != nil || c.TTL < time.Second {
			return c, Refuse("the ttl %q is no time of a second or more, as in 90s", in.TTL)
		}
	}
	return c, nil
}

// refusal says what is definite in an error, nil if it may pass.
func refusal(err error) *Refusal {
	var no *Refusal
	if errors.As(err, &no) {
		return no
	}
	return nil
}
