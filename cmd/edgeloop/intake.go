package main

import (
	"context"
	"errors"
	"reflect"
	"time"

	"go.uber.org/zap"

	"edgeloop/admin"
	"edgeloop/auth"
	"edgeloop/backbone"
	"edgeloop/devicemgr"
	"edgeloop/gateway"
	"edgeloop/intake"
	"edgeloop/sink/mqtt"
	"edgeloop/sink/redis"
)

// intakeKinds are the sources of commands that there are, by the type that the configuration gives.
var intakeKinds = map[string]intake.Kind{
	"mqtt":  mqtt.NewSource,
	"redis": redis.NewSource,
}

// planIntake checks the sources of commands; secrets are read, and nothing is connected to.
func (s *serveCmd) planIntake() error {
	_, err := intake.Parse(s.Commands, intakeKinds)
	return err
}

// stopIntake is how long sources of commands may take to end. What they have not acknowledged
// comes again.
const stopIntake = 5 * time.Second

// startIntake has commands come from elsewhere. That a source is not there is no reason to wait.
func (n *node) startIntake(ctx context.Context) (stopFunc, error) {
	n.intake = intake.NewSet(n.storeCommand, n.log.Logger)
	specs, err := intake.Parse(n.cfg.Commands, intakeKinds)
	if err != nil {
		return nil, usageError{err}
	}
	return n.intake.Stop, n.intake.Apply(ctx, specs)
}

// storeCommand implements intake.Store.
func (n *node) storeCommand(ctx context.Context, c intake.Command) error {
	for kind, name := range map[string]string{"tenant": c.Tenant, "device": c.Device} {
		if err := auth.CheckName(kind, name); err != nil {
			return intake.Refuse("%s", err)
		}
	}
	key := devicemgr.Key{Tenant: c.Tenant, Device: c.Device}
	_, err := n.gateway.Leave(ctx, key, gateway.Command{Name: c.Name, Data: c.Data, TTL: c.TTL})
	var wrong *gateway.CommandError
	// Those of other devices and tenants, behind it, must not wait for it.
	if errors.As(err, &wrong) || errors.Is(err, backbone.ErrDeviceCommandsFull) || errors.Is(err, backbone.ErrTenantCommandsFull) {
		return intake.Refuse("%s", err)
	}
	return err
}

// loadIntake reads the sources of commands again; use puts them in force, nil if nothing has changed.
func (n *node) loadIntake(fresh settings) (use func(context.Context), err error) {
	list, _ := fresh[commandsKey].([]any)
	if reflect.DeepEqual(n.told.Load().given[commandsKey], fresh[commandsKey]) {
		return nil, nil
	}
	specs, err := intake.Parse(list, intakeKinds)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, stopIntake)
		defer cancel()
		if err := n.intake.Apply(ctx, specs); err != nil {
			n.log.Warn("the sources of commands changed, and one did not end", zap.Error(err))
		}
	}, nil
}

func (n *node) intakeMetrics(to func(admin.Sample)) {
	emit := emitTo(to)
	for _, s := range n.intake.Status() {
		emit("edgeloop_intake_connected", boolean(s.Connected), s.Name)
		emit("edgeloop_intake_stored_commands_total", float64(s.Counts.Stored), s.Name)
		emit("edgeloop_intake_refused_commands_total", float64(s.Counts.Refused), s.Name)
		emit("edgeloop_intake_failures_total", float64(s.Counts.Failed), s.Name)
	}
}
