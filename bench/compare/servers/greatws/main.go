// Command greatws echoes with github.com/antlabs/greatws: no goroutine for a
// connection.
package main

import (
	"log/slog"
	"net/http"

	"github.com/antlabs/greatws"

	"edgeloop/bench/compare/internal/peer"
)

type handler struct {
	all *peer.Everybody[*greatws.Conn]
}

func (h *handler) OnOpen(c *greatws.Conn)           { h.all.Add(c) }
func (h *handler) OnClose(c *greatws.Conn, _ error) { h.all.Remove(c) }

func (h *handler) OnMessage(c *greatws.Conn, op greatws.Opcode, b []byte) {
	if op == greatws.Text && h.all.Each(func(o *greatws.Conn) { _ = o.WriteMessage(op, b) }) {
		return
	}
	_ = c.WriteMessage(op, b)
}

func main() {
	f := peer.Parse()
	loops := greatws.NewMultiEventLoopMust(
		greatws.WithEventLoops(0), greatws.WithMaxEventNum(256), greatws.WithLogLevel(slog.LevelError))
	loops.Start()
	h := &handler{all: peer.NewEverybody[*greatws.Conn](f.Broadcast)}
	peer.Exit(http.ListenAndServe(f.Addr, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = greatws.Upgrade(w, r,
			greatws.WithServerReplyPing(), greatws.WithServerIgnorePong(),
			greatws.WithServerCallback(h), greatws.WithServerMultiEventLoop(loops))
	})))
}
