package conformance_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// A testCase is one row of a table.
type testCase struct {
	id, name string
	// send is what the client sends. When the node must fail it, it ends with
	// the byte that leaves no other way.
	send []byte
	want []event // what comes back before the end
	end  ending
	// offer is the client's Sec-WebSocket-Extensions and window what the node's
	// compressed data may then refer back to; "" is the node without compression.
	offer  string
	window int
	// tail is what would follow; it is sent only in the last way of running it,
	// and changes nothing.
	tail []byte
}

// Cuts beyond these sizes are left to the full mode, and then to nobody: cases
// of this size are about size.
const (
	everyCut  = 100
	someCuts  = 40
	byteWise  = 300
	fullCut   = 2000
	inFlight  = 4
	maxReport = 3  // failures shown of one case
	maxFailed = 20 // cases of one section, of which no more are played then
)

// played counts dialogues, for the report.
var played atomic.Int64

// run plays every case of a section in every way.
func run(t *testing.T, cases []testCase) {
	t.Helper()
	seen := map[string]bool{}
	for _, c := range cases {
		if seen[c.id] {
			t.Errorf("two cases are called %s", c.id)
		}
		seen[c.id] = true
	}
	var wg sync.WaitGroup
	next := make(chan testCase)
	var failed atomic.Int64
	for range inFlight {
		wg.Go(func() {
			for c := range next {
				if failed.Load() >= maxFailed {
					continue
				}
				if err := c.playAll(); err != nil {
					failed.Add(1)
					t.Errorf("%s %s: %v", c.id, c.name, err)
				}
			}
		})
	}
	for _, c := range cases {
		next <- c
	}
	close(next)
	wg.Wait()
	if n := failed.Load(); n >= maxFailed {
		t.Errorf("%d cases of %d failed, the rest was not played", n, len(cases))
	}
	t.Logf("%d cases, %d not passed", len(cases), failed.Load())
}

func (c *testCase) open() (*dialogue, error) {
	if c.offer == "" {
		return open(plainAddr, "", 0)
	}
	return open(deflateAddr, "Sec-WebSocket-Extensions: "+c.offer+"\r\n", c.window)
}

// playAll plays the case whole and in pieces. Those that can go on share one
// connection, so that each is also played after another.
func (c *testCase) playAll() error {
	var d *dialogue
	var errs []string
	for _, way := range c.ways() {
		var err error
		if d == nil {
			if d, err = c.open(); err != nil {
				return err
			}
		}
		played.Add(1)
		if err = d.play(way.pieces, c.want, c.end); err != nil {
			if errs = append(errs, fmt.Sprintf("%s: %v", way.name, err)); len(errs) == maxReport {
				break
			}
		}
		if err != nil || c.end.kind != stays {
			d.close()
			d = nil
		}
	}
	if d != nil {
		if err := d.leave(); err != nil {
			errs = append(errs, err.Error())
		}
		d.close()
	}
	if len(errs) > 0 {
		return fmt.Errorf("\n\t%s", strings.Join(errs, "\n\t"))
	}
	return nil
}

// A way is one division of what is sent.
type way struct {
	name   string
	pieces [][]byte
}

func (c *testCase) ways() []way {
	b := c.send
	all := []way{{"whole", [][]byte{b}}}
	all = append(all, cuts(b)...)
	if c.tail != nil {
		all = append(all, way{"with what follows", [][]byte{join(b, c.tail)}})
	}
	return all
}

// cuts divides b at every byte (or many of them, if it is long), and into
// single bytes.
func cuts(b []byte) (all []way) {
	step, limit := 1, fullCut
	if !*full {
		limit = byteWise
		if len(b) > everyCut {
			step = len(b)/someCuts + 1
		}
	}
	if len(b) > limit {
		return nil
	}
	for i := 1; i < len(b); i += step {
		all = append(all, way{fmt.Sprintf("cut at byte %d of %d", i, len(b)), [][]byte{b[:i], b[i:]}})
	}
	if len(b) > 2 {
		all = append(all, way{"one byte a write", singles(b)})
	}
	return all
}

func singles(b []byte) (pieces [][]byte) {
	for i := range b {
		pieces = append(pieces, b[i:i+1])
	}
	return pieces
}

// chop divides b into pieces of n bytes.
func chop(b []byte, n int) (pieces [][]byte) {
	for len(b) > n {
		pieces = append(pieces, b[:n])
		b = b[n:]
	}
	return append(pieces, b)
}

// echoes is what comes back of messages.
func echoes(e ...event) []event { return e }

// times is e n times.
func times(n int, e event) []event {
	all := make([]event, n)
	for i := range all {
		all[i] = e
	}
	return all
}

// quickOr is q, or f in the full mode.
func quickOr(q, f int) int {
	if *full {
		return f
	}
	return q
}
