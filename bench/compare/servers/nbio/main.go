// Command nbio echoes with github.com/lesismal/nbio in its non-blocking mode:
// no goroutine for a connection.
package main

import (
	"net/http"

	"github.com/lesismal/nbio/logging"
	"github.com/lesismal/nbio/nbhttp"
	"github.com/lesismal/nbio/nbhttp/websocket"

	"edgeloop/bench/compare/internal/peer"
)

func main() {
	f := peer.Parse()
	logging.SetLevel(logging.LevelError)
	all := peer.NewEverybody[*websocket.Conn](f.Broadcast)
	up := websocket.NewUpgrader()
	up.OnOpen(all.Add)
	up.OnClose(func(c *websocket.Conn, _ error) { all.Remove(c) })
	up.OnMessage(func(c *websocket.Conn, kind websocket.MessageType, b []byte) {
		if kind == websocket.TextMessage && all.Each(func(o *websocket.Conn) { _ = o.WriteMessage(kind, b) }) {
			return
		}
		_ = c.WriteMessage(kind, b)
	})
	engine := nbhttp.NewEngine(nbhttp.Config{
		Network: "tcp", Addrs: []string{f.Addr},
		IOMod: nbhttp.IOModNonBlocking, ReleaseWebsocketPayload: true,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = up.Upgrade(w, r, nil)
		}),
	})
	if err := engine.Start(); err != nil {
		peer.Exit(err)
	}
	select {}
}
