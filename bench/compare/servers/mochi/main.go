// Command mochi is mochi-mqtt's broker as its documentation starts it: anybody may connect,
// nothing is stored.
package main

import (
	"io"
	"log/slog"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"

	"edgeloop/bench/compare/internal/peer"
)

func main() {
	f := peer.Parse()
	s := mqtt.New(&mqtt.Options{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err := s.AddHook(new(auth.AllowHook), nil); err != nil {
		peer.Exit(err)
	}
	if err := s.AddListener(listeners.NewTCP(listeners.Config{ID: "tcp", Address: f.Addr})); err != nil {
		peer.Exit(err)
	}
	if err := s.Serve(); err != nil {
		peer.Exit(err)
	}
	select {}
}
