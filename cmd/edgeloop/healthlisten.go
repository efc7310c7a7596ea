package main

import (
	"context"
	"fmt"
	"net"
	"slices"

	"go.uber.org/zap"

	"edgeloop/admin"
	"edgeloop/admin/api"
)

// planHealth checks the address of probes. It may be where others reach it: nobody shows a
// token there, and what is told is a yes, or which codes speak against it.
func (s *serveCmd) planHealth() error {
	if s.HealthListen == "" {
		return nil
	}
	if err := checkListen("--health-listen", s.HealthListen); err != nil {
		return err
	}
	_, port, _ := net.SplitHostPort(s.HealthListen)
	taken := []string{s.AdminListen, s.GRPCListen}
	for _, d := range s.doors() {
		taken = append(taken, d.addr)
	}
	if slices.Contains(taken, s.HealthListen) && port != "0" {
		return fmt.Errorf("--health-listen=%s is taken by another listener: give each a port of its own", s.HealthListen)
	}
	return nil
}

// startHealth has probes answered from before the log is opened until it is closed.
func (n *node) startHealth(context.Context) (stop stopFunc, err error) {
	if n.cfg.HealthListen == "" {
		return nil, nil
	}
	n.health, err = admin.NewHealth(admin.Config{Listen: n.cfg.HealthListen, Logger: n.log.Named("health")}, n.healthReady, n.healthWarnings)
	if err != nil {
		return nil, usageError{err}
	}
	if err := n.health.Start(); err != nil {
		return nil, fmt.Errorf("--health-listen=%s: %w", n.cfg.HealthListen, err)
	}
	n.log.Info("probes", zap.String("address", n.health.Addr().String()))
	return n.health.Stop, nil
}

// healthReady is why the node is not ready, in each of its states: other than the admin API,
// probes are answered while parts are built, and while they are stopped.
func (n *node) healthReady() []api.Reason {
	switch n.state.Load() {
	case stateStarting:
		return n.startsFor()
	case stateRunning:
		return adminNode{n}.Ready()
	}
	return []api.Reason{{Code: "draining", Detail: "the node is going away"}}
}

func (n *node) healthWarnings() []api.Reason {
	if n.state.Load() != stateRunning {
		return nil
	}
	return adminNode{n}.Warnings()
}

func (n *node) healthMetrics(to func(admin.Sample)) {
	if n.health != nil {
		n.health.HealthSamples(to)
	}
}
