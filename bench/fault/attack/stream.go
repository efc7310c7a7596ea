package attack

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/gobwas/ws"

	"edgeloop/bench/fault/crew"
	"edgeloop/internal/pause"
)

// stream sends numbered messages of Size bytes as fast as the window allows, and reconnects when it
// is cut.
func (a *attacker) stream(ctx context.Context, i int) {
	for ctx.Err() == nil {
		w, welcome, err := a.device(ctx, i)
		if err != nil {
			if ctx.Err() == nil {
				a.fail("connect", err)
			}
			_ = pause.For(ctx, 200*time.Millisecond)
			continue
		}
		a.count("connected")
		err = a.fill(ctx, w, welcome)
		w.Cut()
		if err == nil {
			return
		}
		if ctx.Err() == nil {
			a.fail("stream", err)
		}
	}
}

// fill keeps the window of a connection full until ctx ends or all Messages are acknowledged.
func (a *attacker) fill(ctx context.Context, w *crew.Wire, welcome crew.Message) error {
	pad := strings.Repeat("p", a.Size)
	acked, next := welcome.Upto, welcome.Upto+1
	window := uint64(cmp.Or(a.Window, welcome.Window)) //nolint:gosec // a window is small
	for ctx.Err() == nil {
		for next <= acked+window {
			w.Out = appendUnmasked(w.Out, next, pad)
			next++
			if len(w.Out) > 256<<10 || next > acked+window {
				if err := w.Flush(); err != nil {
					return err
				}
			}
		}
		m, err := w.Next(crew.HandshakeLimit)
		switch {
		case errors.Is(err, crew.ErrQuiet):
			a.count("no ack for 10 s")
		case err != nil:
			return err
		case m.Type == "ack" && m.Upto > acked:
			a.add("acknowledged", int(m.Upto-acked)) //nolint:gosec // a window is small
			acked = m.Upto
		}
		if a.Messages > 0 && acked >= uint64(a.Messages) { //nolint:gosec // positive
			return nil
		}
	}
	return ctx.Err()
}

// appendUnmasked adds a telemetry message as a frame whose mask is zero, which
// costs a peer nothing. Size is that of pad and a little more.
func appendUnmasked(out []byte, seq uint64, pad string) []byte {
	var digits [20]byte
	number := strconv.AppendUint(digits[:0], seq, 10)
	const a, b, c = `{"type":"telemetry","seq":`, `,"topic":"t","data":{"p":"`, `"}}`
	out = appendHeader(out, ws.OpText, len(a)+len(number)+len(b)+len(pad)+len(c))
	return append(append(append(append(append(out, a...), number...), b...), pad...), c...)
}

// appendHeader adds a final frame's header with a mask of zero.
func appendHeader(out []byte, op ws.OpCode, length int) []byte {
	out = append(out, 0x80|byte(op))
	switch {
	case length < 126:
		out = append(out, 0x80|byte(length))
	case length < 1<<16:
		out = binary.BigEndian.AppendUint16(append(out, 0x80|126), uint16(length)) //nolint:gosec // just compared
	default:
		out = binary.BigEndian.AppendUint64(append(out, 0x80|127), uint64(length)) //nolint:gosec // positive
	}
	return append(out, 0, 0, 0, 0)
}
