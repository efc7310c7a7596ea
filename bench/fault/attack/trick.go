package attack

import (
	"context"
	"time"

	"edgeloop/internal/pause"
)

// trick tries one, again and again until ctx ends, and counts what came of it. The last try
// is not cut short: it has bounds of its own.
func (a *attacker) trick(ctx context.Context, i int) {
	for once := false; !once || ctx.Err() == nil; once = true {
		a.count(a.what.Run(context.WithoutCancel(ctx), a.Doors, i))
		_ = pause.For(ctx, 10*time.Millisecond)
	}
}
