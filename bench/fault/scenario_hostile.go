package fault

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"
)

// unhurt runs a hostile scene beside the crew and insists that no device of the
// crew lost its connection meanwhile, and that messages went on.
func (l *Life) unhurt(ctx context.Context, scene func(ctx context.Context) error) error {
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
		l.Journal.Break(Violation{Promise: Dropped, Detail: fmt.Sprintf("%d connections of well-behaved devices ended", n)})
	}
	if after == before {
		l.Journal.Break(Violation{Promise: Dropped, Detail: "no message of a well-behaved device was acknowledged"})
	}
	return l.peak()
}

// peak notes how much memory the node holds now.
func (l *Life) peak() error {
	u, err := readUsage(l.Node.PID())
	if err == nil {
		l.Note("after it the node held %d MiB and %d descriptors", u.rss>>20, u.fds)
	}
	return err
}

// rabble runs count hostile peers side by side until they all end, or ctx does.
func (l *Life) rabble(ctx context.Context, count int, peer func(ctx context.Context, i int) error) {
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

// hostileDevice connects a device that keeps no record, with a small receive
// buffer.
func (l *Life) hostileDevice(ctx context.Context, i int) (net.Conn, error) {
	d := ws.Dialer{Protocols: []string{"edgeloop.v1.json"}, NetDial: func(ctx context.Context, _, addr string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		if t, ok := c.(*net.TCPConn); ok {
			_ = t.SetReadBuffer(4096) // a hint
		}
		return c, err
	}}
	c, _, _, err := d.Dial(ctx, fmt.Sprintf("%s?device=%s%d", l.url, hostile, i))
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

// masked is one client frame, repeated until it fills about 16 KiB.
func masked(f ws.Frame) []byte {
	one := ws.MustCompileFrame(ws.MaskFrameInPlaceWith(f, [4]byte{1, 2, 3, 4}))
	var all []byte
	for len(all) < 16<<10 {
		all = append(all, one...)
	}
	return all
}

// actSlow has devices ask for answers that they never read.
func actSlow(ctx context.Context, l *Life) error {
	heartbeats := masked(ws.NewTextFrame([]byte(`{"type":"heartbeat"}`)))
	var thrown atomic.Int64
	return l.unhurt(ctx, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 8*time.Second)
		defer cancel()
		l.rabble(ctx, 50, func(ctx context.Context, i int) error {
			for ctx.Err() == nil { // one that was thrown out comes back
				c, err := l.hostileDevice(ctx, i)
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

// actFlood has devices send what costs the node most for the fewest bytes.
func actFlood(ctx context.Context, l *Life) error {
	kinds := [][]byte{
		masked(ws.NewPingFrame(nil)),
		masked(ws.NewPongFrame([]byte("unasked"))),
		append(masked(ws.NewFrame(ws.OpText, false, nil))[:6], masked(ws.NewFrame(ws.OpContinuation, false, []byte{' '}))...),
		append(masked(ws.NewFrame(ws.OpText, false, nil))[:6], masked(ws.NewFrame(ws.OpContinuation, false, nil))...),
		masked(ws.NewTextFrame([]byte(`{"type":"heartbeat"}`))),
		masked(ws.NewTextFrame(nil)),
		masked(ws.NewTextFrame([]byte(`{"type":"telemetry","data":{}}`))),
	}
	return l.unhurt(ctx, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 8*time.Second)
		defer cancel()
		l.rabble(ctx, 3*len(kinds), func(ctx context.Context, i int) error {
			for ctx.Err() == nil { // one that was thrown out comes back
				c, err := l.hostileDevice(ctx, i)
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

// actSlowloris opens handshakes that never end, a byte at a time. The node is
// started with --handshake-timeout=2s: it must have ended them all soon after.
func actSlowloris(ctx context.Context, l *Life) error {
	var ended atomic.Int64
	const peers = 400
	begin := loris()
	err := l.unhurt(ctx, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
		defer cancel()
		l.rabble(ctx, peers, func(ctx context.Context, i int) error {
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
				if _, err := c.Read(make([]byte, 512)); err != nil && !timedOut(err) {
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
		l.Journal.Break(Violation{Promise: Resources, Detail: fmt.Sprintf("%d of %d handshakes that never end were ended within 15 s", n, peers)})
	}
	return err
}

func timedOut(err error) bool {
	t, ok := err.(net.Error) //nolint:errorlint // read from a socket itself
	return ok && t.Timeout()
}

// fewDescriptors lets the node have 1024.
func fewDescriptors(_ context.Context, l *Life) error {
	l.Node.Wrap = []string{"prlimit", "--nofile=1024:1024"}
	return nil
}

// actDescriptors fills a node that may have few descriptors with connections that
// do nothing. It must refuse them and keep every device.
func actDescriptors(ctx context.Context, l *Life) error {
	for range l.Options.Rounds {
		err := l.unhurt(ctx, func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, 4*time.Second)
			defer cancel()
			l.rabble(ctx, 1500, func(ctx context.Context, i int) error {
				var c net.Conn
				var err error
				if i%2 == 0 {
					c, err = (&net.Dialer{}).DialContext(ctx, "tcp", l.Node.Listen)
				} else {
					c, err = l.hostileDevice(ctx, i)
				}
				if err != nil {
					return err
				}
				defer c.Close()
				return pause(ctx, 10*time.Second)
			})
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
