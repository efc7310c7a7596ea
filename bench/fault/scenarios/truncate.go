package scenarios

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"edgeloop/bench/fault/history"
	"edgeloop/bench/fault/life"
)

// actTruncate cuts synced and acknowledged bytes off the end of the log, like a disk that breaks its
// word. They cannot be recovered. The node must say so, lose only the end, without a hole
// before it, and accept devices again. The crew goes home first, because its records are no
// longer true.
func actTruncate(ctx context.Context, l *life.Life) error {
	if err := loadAndSendHome(ctx, l); err != nil {
		return err
	}
	records := l.Crew.Records()
	for i := range records {
		records[i].Acked = 0 // the end may be missing
	}
	_, before := l.Crew.Totals()
	for _, size := range []int64{1, 100, 5000, 100_000} {
		l.Kill("to cut the log")
		path, err := NewestBlock(l.Node.Dir)
		if err != nil {
			return err
		}
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		if err := os.Truncate(path, max(0, info.Size()-size)); err != nil {
			return err
		}
		l.Result.Faults++
		if err := noticed(ctx, l, &harm{name: fmt.Sprintf("%d bytes cut off the end", size)}); err != nil {
			return err
		}
		c := history.NewChecker(records)
		if err := l.Node.Tail(ctx, c.Line); err != nil {
			return fmt.Errorf("read the log back: %w", err)
		}
		l.Journal.Break(c.Finish()...)
		l.Result.Logged = c.Lines()
		l.Note("%d bytes cut off %s of %d: %d of %d acknowledged messages are gone", size, filepath.Base(path), info.Size(), before-uint64(c.Lines()), before) //nolint:gosec // a count
	}
	endInOrder(l)
	return nil
}
