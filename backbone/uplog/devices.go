package uplog

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"edgeloop/backbone/names"
)

// Known is a device that the log has something of.
type Known struct {
	Tenant, Device string
	Last
}

// Devices gives fn the devices that were in the embedded log when it was opened, the one
// whose last record is oldest first, and at most the last most of them. It waits until
// they are known, and may be called once: the list is not kept. A log that others write
// to, or one that cannot be listed, gives none.
func (l *Log) Devices(ctx context.Context, most int, fn func(Known)) error {
	if l.ends == nil {
		return nil
	}
	select {
	case <-l.scanned:
	case <-ctx.Done():
		return fmt.Errorf("list the devices in the log: %w", ctx.Err())
	case <-l.ctx.Done():
		return l.srv.OrClosed(l.ctx.Err())
	}
	all := make([]Known, 0, len(l.listed))
	for _, subject := range l.listed {
		tenant, device, ok := names.Split(subject, names.Up)
		if last := l.ends.last(names.KeyOf(subject)); ok && last.Position > 0 {
			all = append(all, Known{tenant, device, last})
		}
	}
	l.listed = nil
	slices.SortFunc(all, func(a, b Known) int { return cmp.Compare(a.Position, b.Position) })
	for _, d := range all[max(0, len(all)-most):] {
		fn(d)
	}
	return nil
}
