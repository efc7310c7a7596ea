package scenarios

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"edgeloop/bench/fault/history"
	"edgeloop/bench/fault/life"
)

// actBackup backs a node up under load, kills it, removes its data directory, and starts it on
// what is restored of the backup. All that was acknowledged before the backup began must be
// there, in order and once, and the ban; what came later may be lost, and nothing else. The
// crew is gone by then: to a device, what is lost is a broken promise.
func actBackup(ctx context.Context, l *life.Life) error {
	if err := l.Load(ctx); err != nil {
		return err
	}
	ban := "/v1/bans/default/outlaw"
	if status, answer, err := l.Node.Call(ctx, "PUT", ban, map[string]string{"reason": "outlaw"}); err != nil || status/100 != 2 {
		return fmt.Errorf("ban: %d %s, %w", status, answer, err)
	}
	if err := l.Progress(ctx, 60*time.Second, 1000); err != nil {
		return err
	}
	before := make(map[string]uint64)
	promised := uint64(0)
	for _, r := range l.Crew.Records() {
		before[r.Device] = r.Acked
		promised += r.Acked
	}
	file := l.Node.Dir + ".backup.tar"
	began := time.Now()
	if out, code := edgeloop(l, "log", "backup", "--data-dir", l.Node.Dir, file); code != 0 {
		l.Journal.Break(history.Violation{Promise: history.Lost, Detail: fmt.Sprintf("no backup, exit code %d: %.300s", code, out)})
		return nil
	}
	took := time.Since(began)
	if err := l.Progress(ctx, 60*time.Second, 1000); err != nil { // what is to be lost
		return err
	}
	l.StopOrders()
	l.Kill("after the backup")
	l.Result.Faults++
	l.Crew.Stop()
	if err := os.RemoveAll(l.Node.Dir); err != nil {
		return err
	}
	if out, code := edgeloop(l, "log", "restore", "--data-dir", l.Node.Dir, file); code != 0 {
		l.Journal.Break(history.Violation{Promise: history.Lost, Detail: fmt.Sprintf("%s is not restored, exit code %d: %.300s", filepath.Base(file), code, out)})
		return nil
	}
	if err := l.Boot(ctx); err != nil { // it is ready: nothing is damaged
		return err
	}
	records := l.Crew.Records()
	for i := range records {
		records[i].Acked = before[records[i].Device]
	}
	c := history.NewChecker(records)
	if err := l.Node.Tail(ctx, c.Line); err != nil {
		return fmt.Errorf("read the log back: %w", err)
	}
	l.Result.Logged = c.Lines()
	l.Journal.Break(c.Finish()...)
	if status, answer, err := l.Node.Call(ctx, "GET", ban, nil); err != nil || status != 200 {
		l.Journal.Break(history.Violation{Promise: history.Lost, Detail: fmt.Sprintf("the ban of before the backup: %d %.200s", status, answer)})
	}
	l.Note("backed up in %s under load: %d messages were acknowledged before, the restored log has %d", took.Round(time.Millisecond), promised, c.Lines())
	endInOrder(l)
	return nil
}
