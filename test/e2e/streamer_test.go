package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// streamer is a device that sends the sequences 1 to total over as many
// connections as that takes: it keeps to the window, resumes behind the
// welcome's upto, and remembers the highest acknowledged sequence. Made of
// coder/websocket, because stories with many devices need a lean client.
type streamer struct {
	url   string
	total uint64
	size  int           // of a message's data, where its number alone would be too small
	cut   func() bool   // asked before each message: break the connection now?
	pause time.Duration // between one connection and the next, about

	acked    atomic.Uint64
	welcomed atomic.Uint64 // connections that got a welcome
	lastGone atomic.Pointer[websocket.CloseError]
}

var errCut = errors.New("the streamer cut its connection")

// run connects again and again until all is acknowledged or ctx ends. The
// error is what must not happen whatever the network does: a promise broken.
func (s *streamer) run(ctx context.Context) error {
	for s.acked.Load() < s.total && ctx.Err() == nil {
		err := s.session(ctx)
		var broken *brokenPromise
		if errors.As(err, &broken) {
			return err
		}
		var gone websocket.CloseError
		if errors.As(err, &gone) {
			s.lastGone.Store(&gone)
		}
		wait := time.NewTimer(time.Duration(rand.Int64N(int64(s.pause) + 1)))
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
		}
	}
	return nil
}

// brokenPromise is something that the node must never say.
type brokenPromise struct{ what string }

func (b *brokenPromise) Error() string { return b.what }

// session is one connection, from handshake to its end.
func (s *streamer) session(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, s.url, &websocket.DialOptions{
		Subprotocols: []string{"edgeloop.v1.json"},
	})
	if err != nil {
		return err
	}
	defer ws.CloseNow()

	m, err := s.read(ctx, ws)
	if err != nil {
		return err
	}
	if m.Type != "welcome" {
		return &brokenPromise{fmt.Sprintf("the first message is %+v, want a welcome", m)}
	}
	s.welcomed.Add(1)
	if m.Upto < s.acked.Load() {
		return &brokenPromise{fmt.Sprintf("welcome upto %d, but %d was acknowledged", m.Upto, s.acked.Load())}
	}
	s.acked.Store(m.Upto)
	window, next := uint64(m.Window), m.Upto+1
	for s.acked.Load() < s.total {
		for ; next <= s.total && next <= s.acked.Load()+window; next++ {
			if s.cut != nil && s.cut() {
				return errCut
			}
			if err := ws.Write(ctx, websocket.MessageText, fmt.Appendf(nil, `{"type":"telemetry","seq":%d,"data":%s}`, next, s.data(next))); err != nil {
				// The reason, a close frame, may wait to be read.
				_, err = s.read(ctx, ws)
				return err
			}
		}
		if m, err = s.read(ctx, ws); err != nil {
			return err
		}
		switch {
		case m.Type == "error":
			return &brokenPromise{fmt.Sprintf("the node refused what the device may say: %+v", m)}
		case m.Type != "ack":
		case m.Upto >= next || m.Upto < s.acked.Load():
			return &brokenPromise{fmt.Sprintf("ack upto %d after %d, when %d was sent", m.Upto, s.acked.Load(), next-1)}
		default:
			s.acked.Store(m.Upto)
		}
	}
	return ws.Close(websocket.StatusNormalClosure, "")
}

// data is what message number n carries.
func (s *streamer) data(n uint64) string {
	if s.size == 0 {
		return strconv.FormatUint(n, 10)
	}
	return `"` + strings.Repeat("x", s.size) + `"`
}

// downward is what the node sends.
type downward struct {
	Type, Code, Message string
	Upto                uint64
	Window              int
}

func (s *streamer) read(ctx context.Context, ws *websocket.Conn) (m downward, err error) {
	_, text, err := ws.Read(ctx)
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, &brokenPromise{fmt.Sprintf("the node sent %q: %v", text, err)}
	}
	return m, nil
}
