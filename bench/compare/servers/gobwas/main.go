// Command gobwas echoes with github.com/gobwas/ws and its wsutil, as its readme
// shows it: a goroutine for each connection, no net/http.
package main

import (
	"net"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"edgeloop/bench/compare/internal/peer"
)

func main() {
	f := peer.Parse()
	all := peer.NewEverybody[net.Conn](f.Broadcast)
	ln, err := net.Listen("tcp", f.Addr)
	if err != nil {
		peer.Exit(err)
	}
	for {
		c, err := ln.Accept()
		if err != nil {
			peer.Exit(err)
		}
		go serve(c, all)
	}
}

func serve(c net.Conn, all *peer.Everybody[net.Conn]) {
	defer func() { _ = c.Close() }()
	if _, err := ws.Upgrade(c); err != nil {
		return
	}
	all.Add(c)
	defer all.Remove(c)
	for {
		b, op, err := wsutil.ReadClientData(c)
		if err != nil {
			return
		}
		if op == ws.OpText && all.Each(func(o net.Conn) { _ = wsutil.WriteServerMessage(o, op, b) }) {
			continue
		}
		if wsutil.WriteServerMessage(c, op, b) != nil {
			return
		}
	}
}
