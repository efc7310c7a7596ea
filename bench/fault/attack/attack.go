package attack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"

	"edgeloop/bench/fault/crew"
	"edgeloop/bench/fault/history"
	"edgeloop/bench/fault/tricks"
	"edgeloop/internal/pause"
)

// Attack says what hostile peers do to a node. They run in a process of their own with low
// priority, so that their own cost does not look like a delay of the node. Every attack ends
// by itself.
type Attack struct {
	Kind     string        `json:"kind"`     // a key of attacks
	Addr     string        `json:"addr"`     // of the node, on the loopback
	Count    int           `json:"count"`    // peers
	For      time.Duration `json:"for"`      // the attack ends then
	Rate     int           `json:"rate"`     // peers that begin in a second; 0: all at once
	Size     int           `json:"size"`     // bytes of what is sent, as the kind says
	Window   int           `json:"window"`   // most messages on their way; 0: the node's window
	Messages int           `json:"messages"` // a peer leaves when it has these acknowledged; 0: it stays
	Secret   string        `json:"secret"`   // file of the secret that tokens are signed with; "": no tokens
	Token    string        `json:"token"`    // what every peer shows, in place of its own
	Prefix   string        `json:"prefix"`   // of the peers' names; "": hostile
	Trick    string        `json:"trick"`    // AREA/NAME of a trick, and the doors of the node
	Doors    *tricks.Doors `json:"doors"`
}

// Bounds of every attack.
const (
	MaxPeers      = 18_000
	maxAttackTime = 2 * time.Minute
)

// Spoils is the result of an attack: counts by name.
type Spoils map[string]int

// String lists what was counted, in order of the names.
func (t Spoils) String() string {
	if len(t) == 0 {
		return "nothing"
	}
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(t)) {
		parts = append(parts, fmt.Sprintf("%d x %s", t[k], k))
	}
	return strings.Join(parts, ", ")
}

// attacks maps each kind to what a peer does until ctx ends.
func attacks() map[string]func(a *attacker, ctx context.Context, i int) {
	return map[string]func(a *attacker, ctx context.Context, i int){
		"bad-token": (*attacker).badToken,
		"silent":    (*attacker).silent,
		"stream":    (*attacker).stream,
		"inflate":   (*attacker).inflate,
		"partial":   (*attacker).partial,
		"come-back": (*attacker).comeBack,
		"tug":       (*attacker).tug,
		"trick":     (*attacker).trick,
	}
}

// attacker is a running attack.
type attacker struct {
	Attack
	secret []byte
	what   tricks.Trick

	// Guarded by mu.
	mu     sync.Mutex
	spoils Spoils
}

// Run runs the attack described in JSON to its end.
func Run(ctx context.Context, description string) (Spoils, error) {
	a := &attacker{spoils: Spoils{}}
	if err := json.Unmarshal([]byte(description), &a.Attack); err != nil {
		return nil, err
	}
	peer, ok := attacks()[a.Kind]
	host, _, err := net.SplitHostPort(a.Addr)
	switch ip := net.ParseIP(host); {
	case !ok:
		return nil, fmt.Errorf("fault: no attack %q", a.Kind)
	case err != nil || !ip.IsLoopback():
		return nil, fmt.Errorf("fault: only nodes on the loopback are attacked, not %q", a.Addr)
	case a.Kind == "trick" && a.Doors == nil:
		return nil, errors.New("fault: a trick needs doors")
	case a.Count < 1 || a.Count > MaxPeers || a.For <= 0 || a.For > maxAttackTime:
		return nil, errors.New("fault: an attack without bounds")
	}
	if a.Secret != "" {
		if a.secret, err = os.ReadFile(a.Secret); err != nil {
			return nil, err
		}
	}
	if a.Kind == "trick" {
		if a.what, ok = tricks.Named(a.Trick); !ok {
			return nil, fmt.Errorf("fault: no trick %q", a.Trick)
		}
	}
	_ = unix.Setpriority(unix.PRIO_PROCESS, 0, 10) // a courtesy
	ctx, cancel := context.WithTimeout(ctx, a.For)
	defer cancel()
	var wg sync.WaitGroup
	began := time.Now()
	for i := range a.Count {
		if a.Rate > 0 {
			due := began.Add(time.Duration(i) * time.Second / time.Duration(a.Rate))
			if wait := time.Until(due); wait > time.Millisecond && pause.For(ctx, wait) != nil {
				break
			}
		}
		wg.Go(func() { peer(a, ctx, i) })
	}
	wg.Wait()
	return a.spoils, nil
}

// count counts one more of something. Any goroutine.
func (a *attacker) count(what string) { a.add(what, 1) }

func (a *attacker) add(what string, n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.spoils[what] += n
}

// most keeps the largest of something. Any goroutine.
func (a *attacker) most(what string, n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.spoils[what] = max(a.spoils[what], n)
}

// fail counts a failure by its kind.
func (a *attacker) fail(what string, err error) {
	var status ws.StatusError
	var closed *crew.ClosedError
	var errno syscall.Errno
	kind := "another error"
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		kind = "cut"
	case errors.As(err, &status):
		kind = fmt.Sprintf("refused with %d", int(status))
	case errors.As(err, &closed):
		kind = fmt.Sprintf("closed with %d", closed.Code)
	case crew.TimedOut(err), errors.Is(err, context.DeadlineExceeded):
		kind = "no answer"
	case errors.As(err, &errno):
		kind = errno.Error()
	}
	a.count(what + ": " + kind)
}

// dial opens a TCP connection from one of 250 addresses. It is cut when ctx ends.
func (a *attacker) dial(ctx context.Context, i int) (net.Conn, error) {
	d := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 2, byte(1+i%250))}, Timeout: crew.HandshakeLimit}
	c, err := d.DialContext(ctx, "tcp", a.Addr)
	if err != nil {
		return nil, err
	}
	_ = c.(*net.TCPConn).SetLinger(0)            // only to save ports
	context.AfterFunc(ctx, func() { c.Close() }) // reads and writes of its own end with it
	return c, nil
}

// name is the name of a peer.
func (a *attacker) name(i int) string {
	if a.Prefix != "" {
		return fmt.Sprintf("%s%d", a.Prefix, i)
	}
	return fmt.Sprintf("%s%d", history.Hostile, i)
}

// device connects a device. The dialer's own context ends before the connection does.
func (a *attacker) device(ctx context.Context, i int) (*crew.Wire, crew.Message, error) {
	dial := func(_ context.Context, _ string) (net.Conn, error) { return a.dial(ctx, i) }
	token := a.Token
	if a.secret != nil {
		token = crew.SignToken(a.secret, a.name(i))
	}
	rng := rand.New(rand.NewPCG(uint64(i), 5)) //nolint:gosec // repeatable, not secret
	w, err := crew.Open(ctx, dial, fmt.Sprintf("ws://%s/v1/device?device=%s", a.Addr, a.name(i)), rng, token)
	if err != nil {
		return nil, crew.Message{}, err
	}
	m, err := w.Next(crew.HandshakeLimit)
	if err != nil {
		w.Cut()
		return nil, m, err
	}
	return w, m, nil
}
