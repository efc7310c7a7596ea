package attack

import (
	"bytes"
	"compress/flate"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"

	"edgeloop/bench/fault/crew"
	"edgeloop/internal/pause"
)

// atOnce is how many messages a peer that deflates them sends at once: about one
// read of the node's.
const atOnce = 400

// inflate sends messages of Size bytes that deflate to almost nothing, hundreds in
// one write and one write a second, all peers in the same moment.
func (a *attacker) inflate(ctx context.Context, i int) {
	burst := deflatedBurst(a.Size)
	beat := time.NewTicker(time.Second)
	defer beat.Stop()
	for ctx.Err() == nil {
		c, err := a.deflating(ctx, i)
		if err != nil {
			if ctx.Err() == nil {
				a.fail("connect", err)
			}
			_ = pause.For(ctx, 200*time.Millisecond)
			continue
		}
		a.count("connected")
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			_, _ = io.Copy(io.Discard, c) // until it is cut
		}()
		for cut := false; !cut && ctx.Err() == nil; {
			select {
			case <-ctx.Done():
			case <-gone:
				cut = true
				a.count("cut")
			case <-beat.C:
				_ = c.SetWriteDeadline(time.Now().Add(crew.WriteLimit))
				if _, err := c.Write(burst); err == nil {
					a.count("bursts")
				}
			}
		}
		c.Close()
		<-gone
	}
}

// deflating connects a device that may send deflated messages.
func (a *attacker) deflating(ctx context.Context, i int) (net.Conn, error) {
	d := ws.Dialer{
		Protocols: []string{"edgeloop.v1.json"}, Timeout: crew.HandshakeLimit,
		NetDial: func(context.Context, string, string) (net.Conn, error) { return a.dial(ctx, i) },
	}
	p := wsflate.Parameters{ServerNoContextTakeover: true, ClientNoContextTakeover: true}
	d.Extensions = append(d.Extensions, p.Option())
	c, _, hs, err := d.Dial(ctx, fmt.Sprintf("ws://%s/v1/device?device=%s", a.Addr, a.name(i)))
	if err == nil && len(hs.Extensions) == 0 {
		a.count("without deflate")
	}
	return c, err
}

// deflatedBurst is many small frames, each of which inflates to about size bytes.
func deflatedBurst(size int) []byte {
	var small bytes.Buffer
	w, err := flate.NewWriter(&small, flate.BestCompression)
	if err != nil {
		panic(err) // the level is one that exists
	}
	_, _ = io.WriteString(w, `{"type":"telemetry","topic":"t","data":{"p":"`+strings.Repeat("p", size)+`"}}`) // a buffer takes all
	_ = w.Flush()
	payload := bytes.TrimSuffix(small.Bytes(), []byte{0, 0, 0xff, 0xff})
	var all []byte
	for range atOnce {
		begin := len(all)
		all = append(appendHeader(all, ws.OpText, len(payload)), payload...)
		all[begin] |= 0x40 // RSV1: it is deflated
	}
	return all
}
