// Command coder echoes with github.com/coder/websocket: a goroutine for each
// connection.
package main

import (
	"net/http"

	"github.com/coder/websocket"

	"edgeloop/bench/compare/internal/peer"
)

func main() {
	f := peer.Parse()
	all := peer.NewEverybody[*websocket.Conn](f.Broadcast)
	peer.Exit(http.ListenAndServe(f.Addr, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer func() { _ = c.CloseNow() }()
		all.Add(c)
		defer all.Remove(c)
		ctx := r.Context()
		for {
			kind, b, err := c.Read(ctx)
			if err != nil {
				return
			}
			if kind == websocket.MessageText && all.Each(func(o *websocket.Conn) { _ = o.Write(ctx, kind, b) }) {
				continue
			}
			if c.Write(ctx, kind, b) != nil {
				return
			}
		}
	})))
}
