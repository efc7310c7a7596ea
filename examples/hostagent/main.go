// Command hostagent is a device: every second it sends this machine's own
// readings to an edgeloop node, and answers the commands ping and set-interval.
// HOSTAGENT_URL names the node, HOSTAGENT_TOKEN the device.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"math/rand/v2"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
)

type message map[string]any

func (m message) seq() uint64 { n, _ := m["seq"].(uint64); return n }

type incoming struct {
	Type, ID, Name, Code, Message string
	Data                          json.RawMessage
	Upto                          uint64
	Window                        int
}

type agent struct {
	tick     *time.Ticker
	failures int // handshakes since the last welcome

	mu     sync.Mutex // guards everything below
	ws     *websocket.Conn
	queue  []message // not acknowledged, oldest first
	sent   int       // how many of them were sent on this connection
	window int       // how many may be; 0 before the welcome
	seq    uint64    // the last one given; a message gets one when it is first sent
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	a := &agent{tick: time.NewTicker(time.Second)}
	go a.measure()
	for ; ; a.failures++ {
		err := a.session(ctx)
		if ctx.Err() != nil {
			return
		}
		// Full jitter: devices that lost the node together return at different times.
		delay := rand.N(min(time.Minute, time.Second<<min(a.failures, 6)))
		var gone websocket.CloseError
		if seconds := 0; errors.As(err, &gone) {
			_, _ = fmt.Sscanf(gone.Reason, "retry=%d", &seconds) // the node paces the storm
			delay += time.Duration(seconds) * time.Second
		}
		log.Printf("disconnected (%v), next try in %s", err, delay.Round(time.Millisecond))
		select {
		case <-time.After(delay):
		case <-ctx.Done():
		}
	}
}

// measure takes readings, connected or not.
func (a *agent) measure() {
	for m := new(meter); ; <-a.tick.C {
		reading := message{"type": "telemetry", "topic": "host", "ts": time.Now().UnixMilli(), "data": m.read()}
		a.mu.Lock()
		if a.queue = append(a.queue, reading); len(a.queue) > 3600 { // after an hour away, drop the oldest
			a.queue, a.sent = a.queue[1:], max(a.sent-1, 0)
		}
		a.flush()
		a.mu.Unlock()
	}
}

// session holds one connection until it ends.
func (a *agent) session(ctx context.Context) error {
	ws, _, err := websocket.Dial(ctx, os.Getenv("HOSTAGENT_URL"), &websocket.DialOptions{
		Subprotocols: []string{"edgeloop.v1.json"},
		HTTPHeader:   http.Header{"Authorization": {"Bearer " + os.Getenv("HOSTAGENT_TOKEN")}},
	})
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = ws.Close(websocket.StatusNormalClosure, "stopping") })()
	for a.ws = ws; err == nil; {
		var m incoming
		err = wsjson.Read(context.Background(), ws, &m)
		a.mu.Lock()
		if a.obey(m); err != nil {
			a.window = 0
		}
		a.flush()
		a.mu.Unlock()
	}
	return err
}

// obey handles one message of the node.
func (a *agent) obey(m incoming) {
	switch m.Type {
	case "welcome":
		log.Printf("connected, the node has everything up to %d", m.Upto)
		a.failures, a.sent, a.window, a.seq = 0, 0, m.Window, max(a.seq, m.Upto)
		fallthrough
	case "ack":
		for len(a.queue) > 0 && a.queue[0].seq() > 0 && a.queue[0].seq() <= m.Upto {
			a.queue, a.sent = a.queue[1:], max(a.sent-1, 0)
		}
	case "command":
		reply := message{"type": "reply", "id": m.ID, "ok": true, "data": "pong"}
		var interval map[string]float64
		if m.Name == "set-interval" && json.Unmarshal(m.Data, &interval) == nil && interval["s"] >= 0.1 {
			a.tick.Reset(time.Duration(interval["s"] * float64(time.Second)))
			reply["data"] = interval
		} else if m.Name != "ping" {
			reply["ok"], reply["data"] = false, `commands are "ping" and "set-interval" with {"s":0.1} or more`
		}
		a.write(reply)
	case "error":
		log.Printf("the node refused a message: %s: %s", m.Code, m.Message)
	}
}

// flush sends what the window allows.
func (a *agent) flush() {
	for ; a.sent < min(len(a.queue), a.window); a.sent++ {
		if a.queue[a.sent].seq() == 0 {
			a.seq++
			a.queue[a.sent]["seq"] = a.seq
		}
		a.write(a.queue[a.sent])
	}
}

// write never waits long: the window bounds the unacknowledged messages.
func (a *agent) write(m message) {
	_ = wsjson.Write(context.Background(), a.ws, m) // if it fails, the read in session fails too
}
