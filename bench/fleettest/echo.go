package fleettest

import (
	"bytes"
	"time"

	"github.com/gobwas/ws"
)

// Fault is what an echo server does to every n-th message of a connection.
type Fault string

// The faults.
const (
	Sound     Fault = "sound"     // none
	Lose      Fault = "lose"      // not echoed
	Duplicate Fault = "duplicate" // echoed twice
	Swap      Fault = "swap"      // echoed after its successor
	Flip      Fault = "flip"      // one bit changed
	Truncate  Fault = "truncate"  // one byte short
	Stale     Fault = "stale"     // replaced by an earlier message
	Fragment  Fault = "fragment"  // in three fragments: not a fault, the fleet must cope
)

// Stall is an echo server's connection handler that takes its time for the first
// message, while the others wait behind it.
func Stall(d time.Duration) func(p *Peer) {
	return func(p *Peer) {
		op, b, err := p.Next()
		if err != nil {
			return
		}
		first := bytes.Clone(b)
		time.Sleep(d)
		_ = p.Send(op, first)
		Echo(Sound, 1)(p)
	}
}

// Deaf is an echo server's connection handler that reads nothing at first, so that
// a close frame too is answered late.
func Deaf(d time.Duration) func(p *Peer) {
	return func(p *Peer) {
		time.Sleep(d)
		Echo(Sound, 1)(p)
	}
}

// Echo is an echo server's connection handler with fault f in every n-th message.
func Echo(f Fault, n int) func(p *Peer) {
	return func(p *Peer) {
		var held, first []byte
		for i := 1; ; i++ {
			op, b, err := p.Next()
			if err != nil {
				return
			}
			if first == nil {
				first = bytes.Clone(b)
			}
			if i%n != 0 {
				_ = p.Send(op, b)
				if held != nil {
					_ = p.Send(op, held)
					held = nil
				}
				continue
			}
			switch f {
			case Sound:
				_ = p.Send(op, b)
			case Lose:
			case Duplicate:
				_ = p.Send(op, b)
				_ = p.Send(op, b)
			case Swap:
				held = b
			case Flip:
				b[len(b)/2] ^= 0x10
				_ = p.Send(op, b)
			case Truncate:
				_ = p.Send(op, b[:len(b)-1])
			case Stale:
				_ = p.Send(op, first)
			case Fragment:
				third := len(b) / 3
				_ = ws.WriteFrame(p, ws.NewFrame(op, false, b[:third]))
				_ = ws.WriteFrame(p, ws.NewFrame(ws.OpContinuation, false, b[third:2*third]))
				_ = ws.WriteFrame(p, ws.NewFrame(ws.OpContinuation, true, b[2*third:]))
			}
		}
	}
}
