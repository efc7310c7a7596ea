package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"go.uber.org/zap"
)

// announce writes down where the node listens, for those who start it.
func (n *node) announce(context.Context) (stopFunc, error) {
	a := addresses{Listen: n.server.Addr().String(), Admin: n.admin.Addr().String(), PID: os.Getpid()}
	a.Boot, a.Network = place()
	doors := n.cfg.doors()
	for i, addr := range n.server.Addrs() {
		a.Listeners = append(a.Listeners, addr.String())
		switch {
		case doors[i].scheme == "mqtt" && a.MQTT == "":
			a.MQTT = addr.String()
		case doors[i].scheme == "wss" && a.TLS == "":
			a.TLS = addr.String()
		}
		n.log.Info("devices connect here", zap.String("url", doors[i].url(addr.String())))
	}
	if n.grpc != nil {
		a.GRPC = n.grpc.Addr().String()
		n.log.Info("gRPC", zap.String("address", a.GRPC), zap.Bool("tls", n.certs.grpc != nil))
	}
	if n.health != nil {
		a.Health = n.health.Addr().String()
	}
	if n.certs.admin != nil {
		a.AdminCert = n.certs.admin.certFile
	}
	n.log.Info("admin API", zap.String("url", a.adminURL()))
	n.warnInTheClear()
	held, err := a.write(addressFile(n.cfg.DataDir))
	switch {
	case errors.Is(err, errNoLocks):
		n.log.Warn("tools need --admin-url to find this node: they do not trust what it writes into its data directory", zap.Error(err))
	case err != nil:
		return nil, fmt.Errorf("--data-dir: %w", err)
	}
	return func(context.Context) error {
		return errors.Join(removeFile(addressFile(n.cfg.DataDir)), unlock(held))
	}, nil
}
