package scenarios

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"edgeloop/bench/fault/faults"
	"edgeloop/bench/fault/history"
	"edgeloop/bench/fault/life"
)

// A harm is what can become of a log that nobody is writing.
type harm struct {
	name string
	do   func(l *life.Life) (what string, err error)
	most uint64 // records that may be lost with it; 0: any number
}

// actDamage harms the log of a node that has stopped or was killed: bits flip, a block
// is cut, emptied or gone, an older copy of the data directory is restored, the stream
// is gone. Each time the node must say so: not ready, with the reason, an error, a
// metric, a copy of what was damaged, and an exit code of `edgeloop log verify`. And it
// must lose nothing but what the harm took. The crew is sent home before.
func actDamage(ctx context.Context, l *life.Life) error {
	if err := loadAndSendHome(ctx, l); err != nil {
		return err
	}
	older := l.Node.Dir + ".older"
	for i, h := range harms(older) {
		if err := doHarm(ctx, l, i, &h, older); err != nil {
			return err
		}
	}
	endInOrder(l)
	return nil
}

// loadAndSendHome fills the log and, once all of it is acknowledged, sends the crew home.
func loadAndSendHome(ctx context.Context, l *life.Life) error {
	if err := l.Load(ctx); err != nil {
		return err
	}
	l.Crew.Produce(false)
	if err := l.Await(ctx, life.SettleLimit, "everything to be acknowledged", l.Settled); err != nil {
		return err
	}
	l.StopOrders()
	l.Crew.Stop()
	return nil
}

// endInOrder stops the node with SIGTERM; anything but exit code 0 breaks a promise.
func endInOrder(l *life.Life) {
	if code := l.Node.Stop(30 * time.Second); code != 0 {
		l.Journal.Break(history.Violation{Promise: history.Died, Detail: fmt.Sprintf("SIGTERM ended the node with exit code %d", code)})
	}
}

// harms are in an order in which each finds something to harm.
func harms(older string) []harm {
	return []harm{
		{"a bit flipped after kill -9", flipBit, 1},
		{"a bit flipped after a stop", flipBit, 1},
		{"the newest block cut", cutNewest, 0},
		{"an older copy restored", func(l *life.Life) (string, error) {
			if err := os.RemoveAll(l.Node.Dir); err != nil {
				return "", err
			}
			return older, os.Rename(older, l.Node.Dir)
		}, 0},
		{"a block emptied", onNewest(func(path string) error { return os.Truncate(path, 0) }), 0},
		{"the stream gone", onNewest(func(path string) error { return os.RemoveAll(filepath.Dir(filepath.Dir(path))) }), 0},
	}
}

// onNewest does something to the newest block.
func onNewest(do func(path string) error) func(l *life.Life) (string, error) {
	return func(l *life.Life) (string, error) {
		path, err := NewestBlock(l.Node.Dir)
		if err != nil {
			return "", err
		}
		return path, do(path)
	}
}

// doHarm ends the node, by turns with kill -9 and in order, does h to its log, and hears
// what it says of that. The first of them leaves a copy of the data behind.
func doHarm(ctx context.Context, l *life.Life, turn int, h *harm, older string) error {
	before, err := count(ctx, l)
	if err != nil {
		return err
	}
	if turn%2 == 0 {
		l.Kill("to harm the log")
	} else {
		endInOrder(l)
	}
	if turn == 0 {
		if err := faults.Command("cp", "-a", l.Node.Dir, older); err != nil {
			return err
		}
	}
	what, err := h.do(l)
	if err != nil {
		return err
	}
	l.Journal.Inject("%s: %s", h.name, what)
	l.Result.Faults++
	if err := noticed(ctx, l, h); err != nil {
		return err
	}
	after, err := count(ctx, l)
	if err != nil {
		return err
	}
	l.Note("%s: %d of %d records are left", h.name, after, before)
	if h.most > 0 && after+h.most < before {
		l.Journal.Break(history.Violation{Promise: history.Lost, Detail: fmt.Sprintf("%s took %d records with it", h.name, before-after)})
	}
	return nil
}

// noticed starts the node on a harmed log and hears what it says of it, then decides to
// go on.
func noticed(ctx context.Context, l *life.Life, h *harm) error {
	silent := func(where, said string) {
		l.Journal.Break(history.Violation{Promise: history.Silent, Detail: fmt.Sprintf("%s: nothing of it in %s: %.300s", h.name, where, said)})
	}
	if out, code := edgeloop(l, "log", "verify", "--data-dir", l.Node.Dir); code != 1 || !strings.Contains(out, "damage: ") {
		silent("log verify", out)
	}
	begin := len(l.Node.LogTail(1 << 30))
	if err := l.Node.Start(); err != nil {
		return err
	}
	answer, status := "", 0
	if err := l.Await(ctx, 30*time.Second, "the node to answer", func() bool {
		s, b, err := l.Node.Call(ctx, "GET", "/readyz", nil)
		status, answer = s, string(b)
		return err == nil && !strings.Contains(answer, `"starting"`) || !l.Node.Alive()
	}); err != nil {
		return err
	}
	if status != 503 || !strings.Contains(answer, "log_damaged") {
		silent("/readyz", answer)
	}
	if said := l.Node.LogTail(1 << 30)[begin:]; !strings.Contains(said, "ERROR") || !strings.Contains(said, "the log is damaged") {
		silent("its log", said)
	}
	if _, metrics, err := l.Node.Call(ctx, "GET", "/metrics", nil); err != nil || !strings.Contains(string(metrics), "edgeloop_backbone_log_damaged 1") {
		silent("its metrics", fmt.Sprint(err))
	}
	reports, err := filepath.Glob(filepath.Join(l.Node.Dir, "damaged", "*", "report.json"))
	if err != nil || len(reports) == 0 {
		silent("damaged/", fmt.Sprint(err))
	}
	if out, code := edgeloop(l, "log", "accept", "--data-dir", l.Node.Dir); code != 0 {
		return fmt.Errorf("edgeloop log accept: exit code %d: %s", code, out)
	}
	return l.Node.Ready(ctx)
}

// edgeloop runs the program.
func edgeloop(l *life.Life, args ...string) (out string, code int) {
	cmd := exec.Command(l.Node.Binary, args...)
	b, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return string(b), exit.ExitCode()
	case err != nil:
		return err.Error(), -1
	}
	return string(b), 0
}

// count is how many records the log has.
func count(ctx context.Context, l *life.Life) (n uint64, err error) {
	err = l.Node.Tail(ctx, func([]byte) error { n++; return nil })
	return n, err
}

// flipBit flips one bit of one of the log's blocks.
func flipBit(l *life.Life) (string, error) {
	path, err := NewestBlock(l.Node.Dir)
	if err != nil {
		return "", err
	}
	all, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*.blk"))
	if err != nil {
		return "", err
	}
	slices.Sort(all)
	path = all[l.Rng.IntN(len(all))]
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	if len(b) == 0 {
		return "", fmt.Errorf("%s is empty", path)
	}
	at := l.Rng.IntN(8 * len(b))
	b[at/8] ^= 1 << (at % 8)
	return fmt.Sprintf("bit %d of byte %d of %s", at%8, at/8, filepath.Base(path)), os.WriteFile(path, b, 0o600)
}

// cutNewest cuts a part off the newest block.
func cutNewest(l *life.Life) (string, error) {
	path, err := NewestBlock(l.Node.Dir)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	return path, os.Truncate(path, info.Size()*2/3)
}
