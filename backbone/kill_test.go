package backbone_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"edgeloop/backbone"
)

const (
	childDir    = "EDGELOOP_TEST_CHILD_DIR"
	childLax    = "EDGELOOP_TEST_CHILD_LAX"   // not empty: durability=process
	killRounds  = "EDGELOOP_TEST_KILL_ROUNDS" // more than the usual, for a longer run
	killDevices = 20
)

// A process appends for twenty devices, each going on from what the log says is
// its last, and is killed in the middle of it, again and again. What it had
// confirmed must be in the log when the next one opens it, once and in order.
func TestBackbone_SurvivesKill(t *testing.T) {
	rounds := 10
	if n, err := strconv.Atoi(os.Getenv(killRounds)); err == nil {
		rounds = n
	}
	t.Run("durability=power", func(t *testing.T) { surviveKills(t, rounds) })
	t.Run("durability=process", func(t *testing.T) {
		t.Setenv(childLax, "1")
		surviveKills(t, rounds/3)
	})
}

func surviveKills(t *testing.T, rounds int) {
	dir := t.TempDir()
	var confirmed [killDevices]uint64
	for round := range rounds {
		lines := 50 + rand.IntN(3000)
		killChild(t, dir, lines, &confirmed)
		b, err := backbone.Open(t.Context(), backbone.Config{DataDir: dir})
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if err := b.Damage(); err != nil {
			t.Errorf("round %d: %v", round, err)
		}
		last := contiguous(t, b)
		for d, n := range confirmed {
			if last[d] < n {
				t.Errorf("round %d: device %d: %d was confirmed, the log ends at %d", round, d, n, last[d])
			}
			if got, err := b.Last(t.Context(), "default", deviceName(d)); err != nil || got.Seq != last[d] {
				t.Errorf("round %d: device %d: Last = %+v, %v; the log ends at %d", round, d, got, err, last[d])
			}
		}
		if err := b.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d kills, confirmed %v", rounds, confirmed)
}

// killChild runs the child until it has confirmed so many records, kills it, and
// takes down all that it had confirmed until then.
func killChild(t *testing.T, dir string, lines int, confirmed *[killDevices]uint64) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(out)
	for n := 0; ; n++ {
		if n == lines {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		line, err := in.ReadString('\n')
		if err == io.EOF {
			break // a last line cut short was not confirmed to anybody
		}
		var d int
		var seq uint64
		if _, err := fmt.Sscan(line, &d, &seq); err != nil {
			t.Fatalf("child says %q: %v", line, err)
		}
		if seq <= confirmed[d] {
			t.Fatalf("device %d: %d confirmed after %d", d, seq, confirmed[d])
		}
		confirmed[d] = seq
	}
	if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() == 1 {
		t.Fatalf("child ended by itself: %v", err)
	}
}

// contiguous reads the whole log and returns the last sequence of each device,
// having seen each sequence once and in order.
func contiguous(t *testing.T, b *backbone.Backbone) (last [killDevices]uint64) {
	t.Helper()
	err := b.Read(t.Context(), backbone.ReadOptions{}, func(_ uint64, line []byte) error {
		var r struct {
			Device string
			Seq    uint64
		}
		if err := json.Unmarshal(line, &r); err != nil {
			return err
		}
		d, err := strconv.Atoi(r.Device[1:])
		if err != nil {
			return err
		}
		if r.Seq != last[d]+1 {
			return fmt.Errorf("device %d: %d after %d", d, r.Seq, last[d])
		}
		last[d] = r.Seq
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return last
}

func deviceName(d int) string { return "d" + strconv.Itoa(d) }

// appendUntilKilled is the child: four callers, five devices each.
func appendUntilKilled(dir string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cfg := backbone.Config{DataDir: dir}
	if os.Getenv(childLax) != "" {
		cfg.Durability = backbone.Process
	}
	b, err := backbone.Open(ctx, cfg)
	if err != nil {
		return err
	}
	failed := make(chan error)
	const callers = 4
	for c := range callers {
		go func() { failed <- appendFor(ctx, b, c*killDevices/callers, (c+1)*killDevices/callers) }()
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		return errors.New("nobody killed this")
	}
}

func appendFor(ctx context.Context, b *backbone.Backbone, from, to int) error {
	next := make([]uint64, to)
	for d := from; d < to; d++ {
		last, err := b.Last(ctx, "default", deviceName(d))
		if err != nil {
			return err
		}
		next[d] = last.Seq + 1
	}
	for {
		var rs []backbone.Record
		for range 1 + rand.IntN(8) {
			d := from + rand.IntN(to-from)
			rs = append(rs, record(deviceName(d), next[d], spoken{device: d}))
			next[d]++
		}
		if err := b.Append(rs); err != nil {
			return err
		}
	}
}

// spoken is the device whose confirmations go to standard output, one system
// call each, so that what was written is known to have been confirmed.
type spoken struct {
	unrivalled
	device int
}

func (d spoken) Durable(seq uint64, _ int) {
	fmt.Fprintf(os.Stdout, "%d %d\n", d.device, seq)
}
