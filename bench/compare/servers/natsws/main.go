// Command natsws is nats-server with its websocket listener, as a whole product:
// only the memory of an idle connection is compared.
package main

import (
	"net"
	"strconv"

	"github.com/nats-io/nats-server/v2/server"

	"edgeloop/bench/compare/internal/peer"
)

func main() {
	f := peer.Parse()
	host, port, err := net.SplitHostPort(f.Addr)
	if err != nil {
		peer.Exit(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		peer.Exit(err)
	}
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true,
		Websocket: server.WebsocketOpts{Host: host, Port: n, NoTLS: true},
	})
	if err != nil {
		peer.Exit(err)
	}
	s.Start()
	s.WaitForShutdown()
}
