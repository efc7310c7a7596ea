package scenarios

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"

	"edgeloop/bench/fault/crew"
	"edgeloop/bench/fault/history"
	"edgeloop/bench/fault/life"
	"edgeloop/bench/fault/node"
	"edgeloop/internal/pause"
)

// unhurt runs a hostile scene beside the crew and insists that no device of the
// crew lost its connection meanwhile, and that messages went on.
func unhurt(ctx context.Context, l *life.Life, scene func(ctx context.Context) error) error {
	cuts := l.Crew.Cuts()
	_, before := l.Crew.Totals()
	began := time.Now()
	if err := scene(ctx); err != nil {
		return err
	}
	_, after := l.Crew.Totals()
	l.Result.Faults++
	l.Note("meanwhile %d messages of the crew were acknowledged in %.1f s", after-before, time.Since(began).Seconds())
	if n := l.Crew.Cuts() - cuts; n > 0 {
		l.Journal.Break(history.Violation{Promise: history.Dropped, Detail: fmt.Sprintf("%d connections of well-behaved devices ended", n)})
	}
	if after == before {
		l.Journal.Break(history.Violation{Promise: history.Dropped, Detail: "no message of a well-behaved device was acknowledged"})
	}
	return peak(l)
}

// peak notes how much memory the node holds now.
func peak(l *life.Life) error {
	u, err := node.ReadUsage(l.Node.PID())
	if err == nil {
		l.Note("after it the node held %d MiB and %d descriptors", u.RSS>>20, u.FDs)
	}
	return err
}

// Rabble runs count hostile peers side by side until they all end, or ctx does.
func Rabble(ctx context.Context, l *life.Life, count int, peer func(ctx context.Context, i int) error) {
	var wg sync.WaitGroup
	for i := range count {
		wg.Add(1)
		go func() {
			defer wg.Done()
			_ = peer(ctx, i) // that a hostile peer fails is the good case
		}()
	}
	wg.Wait()
}

// HostileDevice connects a device that keeps no record, with a small receive
// buffer.
func HostileDevice(ctx context.Context, l *life.Life, i int) (net.Conn, error) {
	d := ws.Dialer{Protocols: []string{"edgeloop.v1.json"}, NetDial: func(ctx context.Context, _, addr string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		if t, ok := c.(*net.TCPConn); ok {
			_ = t.SetReadBuffer(4096) // a hint
		}
		return c, err
	}}
	c, _, _, err := d.Dial(ctx, fmt.Sprintf("%s?device=%s%d", l.URL, history.Hostile, i))
	return c, err
}

// flood writes the same frames over and over until the node ends it or time is up.
func flood(ctx context.Context, c net.Conn, frames []byte, read bool) {
	defer c.Close()
	if read {
		go io.Copy(io.Discard, c) //nolint:errcheck // ends with the connection
	}
	for ctx.Err() == nil {
		_ = c.SetWriteDeadline(time.Now().Add(time.Second))
		if _, err := c.Write(frames); err != nil {
			return
		}
	}
}

// Masked is one client frame, repeated until it fills about 16 KiB.
func Masked(f ws.Frame) []byte {
	one := ws.MustCompileFrame(ws.MaskFrameInPlaceWith(f, [4]byte{1, 2, 3, 4}))
	var all []byte
	for len(all) < 16<<10 {
		all = append(all, one...)
	}
	return all
}

// ActSlow has devices ask for answers that they never read.
func ActSlow(ctx context.Context, l *life.Life) error {
	heartbeats := Masked(ws.NewTextFrame([]byte(`{"type":"heartbeat"}`)))
	var thrown atomic.Int64
	return unhurt(ctx, l, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 8*time.Second)
		defer cancel()
		Rabble(ctx, l, 50, func(ctx context.Context, i int) error {
			for ctx.Err() == nil { // one that was thrown out comes back
				c, err := HostileDevice(ctx, l, i)
				if err != nil {
					return err
				}
				flood(ctx, c, heartbeats, false)
				thrown.Add(1)
			}
			return nil
		})
		l.Note("devices that did not read were thrown out %d times in 8 s", thrown.Load())
		return nil
	})
}

// ActFlood has devices send what costs the node most for the fewest bytes.
func ActFlood(ctx context.Context, l *life.Life) error {
	kinds := [][]byte{
		Masked(ws.NewPingFrame(nil)),
		Masked(ws.NewPongFrame([]byte("unasked"))),
		append(Masked(ws.NewFrame(ws.OpText, false, nil))[:6], Masked(ws.NewFrame(ws.OpContinuation, false, []byte{' '}))...),
		append(Masked(ws.NewFrame(ws.OpText, false, nil))[:6], Masked(ws.NewFrame(ws.OpContinuation, false, nil))...),
		Masked(ws.NewTextFrame([]byte(`{"type":"heartbeat"}`))),
		Masked(ws.NewTextFrame(nil)),
		Masked(ws.NewTextFrame([]byte(`{"type":"telemetry","data":{}}`))),
	}
	return unhurt(ctx, l, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 8*time.Second)
		defer cancel()
		Rabble(ctx, l, 3*len(kinds), func(ctx context.Context, i int) error {
			for ctx.Err() == nil { // one that was thrown out comes back
				c, err := HostileDevice(ctx, l, i)
				if err != nil {
					return err
				}
				flood(ctx, c, kinds[i%len(kinds)], true)
			}
			return nil
		})
		return nil
	})
}

// loris are beginnings that never end.
func loris() []string {
	return []string{
		"",
		"G",
		"GET /v1/device?device=x-l HTTP/1.1\r\nHost: node\r\n",
		"GET /v1/device?device=x-l HTTP/1.1\r\nHost: node\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n",
	}
}

// ActSlowloris opens handshakes that never end, a byte at a time. The node is
// started with --handshake-timeout=2s: it must have ended them all soon after.
func ActSlowloris(ctx context.Context, l *life.Life) error {
	var ended atomic.Int64
	const peers = 400
	begin := loris()
	err := unhurt(ctx, l, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
		defer cancel()
		Rabble(ctx, l, peers, func(ctx context.Context, i int) error {
			c, err := (&net.Dialer{}).DialContext(ctx, "tcp", l.Node.Listen)
			if err != nil {
				return err
			}
			defer c.Close()
			text := begin[i%len(begin)]
			if _, err := io.WriteString(c, text); err != nil {
				return err
			}
			for ctx.Err() == nil {
				_ = c.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
				if _, err := c.Read(make([]byte, 512)); err != nil && !crew.TimedOut(err) {
					ended.Add(1)
					return nil
				}
				if len(text) > 1 {
					_, _ = io.WriteString(c, "a") // seen by the next read
				}
			}
			return nil
		})
		return nil
	})
	if n := ended.Load(); n < peers {
		l.Journal.Break(history.Violation{Promise: history.Resources, Detail: fmt.Sprintf("%d of %d handshakes that never end were ended within 15 s", n, peers)})
	}
	return err
}

// fewDescriptors lets the node have 1024.
func fewDescriptors(_ context.Context, l *life.Life) error {
	l.Node.Wrap = []string{"prlimit", "--nofile=1024:1024"}
	return nil
}

// ActDescriptors fills a node that may have few descriptors with connections that
// do nothing. It must refuse them and keep every device.
func ActDescriptors(ctx context.Context, l *life.Life) error {
	for range l.Options.Rounds {
		err := unhurt(ctx, l, func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, 4*time.Second)
			defer cancel()
			Rabble(ctx, l, 1500, func(ctx context.Context, i int) error {
				var c net.Conn
				var err error
				if i%2 == 0 {
					c, err = (&net.Dialer{}).DialContext(ctx, "tcp", l.Node.Listen)
				} else {
					c, err = HostileDevice(ctx, l, i)
				}
				if err != nil {
					return err
				}
				defer c.Close()
				return pause.For(ctx, 10*time.Second)
			})
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
