package pause

import (
	"context"
	"time"
)

// For waits for d. It returns early with the context's error when ctx ends.
func For(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil { // also when there is nothing to wait for
		return err
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
