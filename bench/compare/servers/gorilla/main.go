// Command gorilla echoes with github.com/gorilla/websocket: a goroutine for
// each connection.
package main

import (
	"net/http"
	"sync"

	"github.com/gorilla/websocket"

	"edgeloop/bench/compare/internal/peer"
)

// conn serialises the writers, of which a broadcast makes a second.
type conn struct {
	*websocket.Conn
	mu sync.Mutex
}

func (c *conn) send(kind int, b []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.WriteMessage(kind, b)
}

func main() {
	f := peer.Parse()
	all := peer.NewEverybody[*conn](f.Broadcast)
	up := websocket.Upgrader{}
	peer.Exit(http.ListenAndServe(f.Addr, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := up.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		c := &conn{Conn: ws}
		defer func() { _ = c.Close() }()
		all.Add(c)
		defer all.Remove(c)
		for {
			kind, b, err := c.ReadMessage()
			if err != nil {
				return
			}
			if kind == websocket.TextMessage && all.Each(func(o *conn) { _ = o.send(kind, b) }) {
				continue
			}
			if c.send(kind, b) != nil {
				return
			}
		}
	})))
}
