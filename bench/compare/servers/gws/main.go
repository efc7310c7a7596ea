// Command gws echoes with github.com/lxzan/gws: a goroutine for each connection.
package main

import (
	"net/http"

	"github.com/lxzan/gws"

	"edgeloop/bench/compare/internal/peer"
)

type handler struct {
	gws.BuiltinEventHandler
	all *peer.Everybody[*gws.Conn]
}

func (h *handler) OnOpen(c *gws.Conn)           { h.all.Add(c) }
func (h *handler) OnClose(c *gws.Conn, _ error) { h.all.Remove(c) }
func (h *handler) OnPing(c *gws.Conn, b []byte) { _ = c.WritePong(b) }

func (h *handler) OnMessage(c *gws.Conn, m *gws.Message) {
	defer func() { _ = m.Close() }()
	if m.Opcode == gws.OpcodeText && h.all.Each(func(o *gws.Conn) { _ = o.WriteMessage(m.Opcode, m.Bytes()) }) {
		return
	}
	_ = c.WriteMessage(m.Opcode, m.Bytes())
}

func main() {
	f := peer.Parse()
	up := gws.NewUpgrader(&handler{all: peer.NewEverybody[*gws.Conn](f.Broadcast)}, &gws.ServerOption{})
	peer.Exit(f.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := up.Upgrade(w, r)
		if err != nil {
			return
		}
		go c.ReadLoop() // in a goroutine of its own, so that net/http's can be collected
	})))
}
