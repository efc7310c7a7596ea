package attack

import (
	"context"
	"errors"
	"time"

	"github.com/gobwas/ws"

	"edgeloop/bench/fault/crew"
	"edgeloop/internal/pause"
)

// partial sends a message of Size bytes without its end, keeps the connection, and reconnects a
// second after it is cut.
func (a *attacker) partial(ctx context.Context, i int) {
	piece := make([]byte, 16<<10)
	for ctx.Err() == nil {
		w, _, err := a.device(ctx, i)
		if err == nil {
			err = a.begin(w, piece)
			for err == nil || errors.Is(err, crew.ErrQuiet) {
				_, err = w.Next(time.Second)
			}
			w.Cut()
		}
		if ctx.Err() == nil {
			a.fail("partial", err)
		}
		_ = pause.For(ctx, time.Second)
	}
}

// begin sends all of a message except its last byte.
func (a *attacker) begin(w *crew.Wire, piece []byte) error {
	w.Out = appendHeader(w.Out, ws.OpText, a.Size)
	for left := a.Size - 1; left > 0; left -= len(piece) {
		w.Out = append(w.Out, piece[:min(left, len(piece))]...)
		if err := w.Flush(); err != nil {
			return err
		}
	}
	a.count("begun")
	return nil
}
