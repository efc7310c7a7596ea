package attack

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"edgeloop/bench/fault/crew"
	"edgeloop/internal/pause"
)

// badToken sends a token with an unknown signature and Size bytes right behind the request, and
// repeats that once it is answered.
func (a *attacker) badToken(ctx context.Context, i int) {
	all := fmt.Appendf(nil, "GET /v1/device HTTP/1.1\r\nHost: node\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: edgeloop.v1.json\r\nAuthorization: Bearer %s\r\n\r\n", a.Token)
	all = append(all, bytes.Repeat([]byte{'x'}, a.Size)...)
	for ctx.Err() == nil {
		a.tryToken(ctx, i, all)
		_ = pause.For(ctx, 10*time.Millisecond)
	}
}

func (a *attacker) tryToken(ctx context.Context, i int, request []byte) {
	c, err := a.dial(ctx, i)
	if err != nil {
		a.fail("dial", err)
		return
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(crew.HandshakeLimit))
	sent := make(chan struct{})
	go func() { // the answer may come, and the connection go, before all is written
		defer close(sent)
		_, _ = c.Write(request)
	}()
	defer func() { c.Close(); <-sent }()
	status := make([]byte, len("HTTP/1.1 401"))
	if _, err := io.ReadFull(c, status); err != nil {
		if ctx.Err() == nil {
			a.fail("token", err)
		}
		return
	}
	a.count("answered " + strings.TrimPrefix(string(status), "HTTP/1.1 "))
}

// silent connects and says nothing. It reconnects when it is cut.
func (a *attacker) silent(ctx context.Context, i int) {
	for ctx.Err() == nil {
		c, err := a.dial(ctx, i)
		if err != nil {
			if ctx.Err() == nil {
				a.fail("dial", err)
			}
			_ = pause.For(ctx, 100*time.Millisecond)
			continue
		}
		a.count("connected")
		_, err = c.Read(make([]byte, 1))
		c.Close()
		if err != nil && ctx.Err() == nil {
			a.count("ended by the node")
		}
		_ = pause.For(ctx, 10*time.Millisecond)
	}
}
