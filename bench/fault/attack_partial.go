package fault

import (
	"context"
	"errors"
	"time"

	"github.com/gobwas/ws"
)

// partial sends a message of Size bytes but for its end, keeps the connection, and
// comes back a second after it was cut.
func (a *attacker) partial(ctx context.Context, i int) {
	piece := make([]byte, 16<<10)
	for ctx.Err() == nil {
		w, _, err := a.device(ctx, i)
		if err == nil {
			err = a.begin(w, piece)
			for err == nil || errors.Is(err, errQuiet) {
				_, err = w.next(time.Second)
			}
			w.cut()
		}
		if ctx.Err() == nil {
			a.fail("partial", err)
		}
		_ = pause(ctx, time.Second)
	}
}

// begin sends all of a message but its last byte.
func (a *attacker) begin(w *wire, piece []byte) error {
	w.out = appendHeader(w.out, ws.OpText, a.Size)
	for left := a.Size - 1; left > 0; left -= len(piece) {
		w.out = append(w.out, piece[:min(left, len(piece))]...)
		if err := w.flush(); err != nil {
			return err
		}
	}
	a.count("begun")
	return nil
}
