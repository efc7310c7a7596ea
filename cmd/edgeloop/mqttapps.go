package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"edgeloop/admin"
	"edgeloop/admin/mqttapi"
	"edgeloop/auth"
	"edgeloop/backbone"
	"edgeloop/backbone/pace"
	"edgeloop/devicemgr"
	"edgeloop/eventloop"
	"edgeloop/gateway"
)

// planMQTTApps checks the flags of applications that subscribe by MQTT.
func (s *serveCmd) planMQTTApps() error {
	if _, err := mqttapi.ParseTopics(s.MQTTTopics); err != nil {
		return fmt.Errorf("--mqtt-topics=%s: %w", s.MQTTTopics, err)
	}
	return nil
}

// acceptor decides who of those who connect may stay: applications, and devices.
func (n *node) acceptor() (eventloop.Acceptor, error) {
	if n.cfg.MQTTApps == "off" {
		return n.gateway, nil
	}
	topics, err := mqttapi.ParseTopics(n.cfg.MQTTTopics)
	if err != nil {
		return nil, usageError{err}
	}
	n.mqttApps = mqttapi.New(mqttapi.Config{
		Devices:     n.gateway,
		Log:         mqttLog{n.backbone, n.pacer},
		SharedLog:   n.backbone.Shared(),
		Early:       n.early.Roster(),
		Private:     isPrivate,
		AllowPlain:  n.cfg.MQTTApps == "any",
		Command:     n.mqttCommand,
		CheckName:   auth.CheckName,
		Topics:      topics,
		Retained:    n.retained,
		IdleTimeout: n.cfg.IdleTimeout,
		MaxPacket:   n.cfg.MaxMessage,
		RetryAfter:  n.cfg.RetryAfter,
		Logger:      n.log.Logger,
		Audit:       n.log.audit,
	})
	return n.mqttApps, nil
}

// mqttCommand sends a command of an application.
func (n *node) mqttCommand(ctx context.Context, c mqttapi.Command) (string, error) {
	id, _, _, err := n.gateway.Command(ctx, devicemgr.Key{Tenant: c.Tenant, Device: c.Device}, gateway.Command{Name: c.Name, Data: c.Data, Now: true})
	if errors.Is(err, gateway.ErrNotConnected) {
		return id, mqttapi.ErrAway
	}
	return id, err
}

// name is what the listener at place i is called: whether it speaks TLS matters here, and port 0
// may be there several times.
func (d *door) name(i int) string { return fmt.Sprintf("%s://%s (%d)", d.scheme, d.addr, i+1) }

func isPrivate(listener string) bool {
	return strings.HasPrefix(listener, "wss://") || strings.HasPrefix(listener, "mqtts://")
}

// startMQTTApps says how applications are sent away. They are let in when the admin API knows who
// may ask, before the node says that it is ready.
func (n *node) startMQTTApps(context.Context) (stopFunc, error) {
	if n.mqttApps == nil {
		return nil, nil
	}
	return n.mqttApps.Stop, nil
}

func (n *node) letMQTTAppsIn() {
	if n.mqttApps != nil {
		n.mqttApps.Start(n.admin.Roster())
	}
}

// mqttLog is the log as applications read it.
type mqttLog struct {
	*backbone.Backbone
	pacer *pace.Pacer
}

// Open implements mqttapi.Log.
func (l mqttLog) Open(ctx context.Context, name string, start backbone.Start) (mqttapi.Reader, error) {
	k, err := l.OpenReader(ctx, name, start)
	if err != nil {
		return nil, err
	}
	return pacedReader{k, l.pacer, name}, nil
}

// Place implements mqttapi.Log.
func (l mqttLog) Place(ctx context.Context, name string) (backbone.Place, bool, error) {
	return l.ReaderPlace(ctx, name)
}

// Places implements mqttapi.Log.
func (l mqttLog) Places(ctx context.Context, fn func(name string, at backbone.Place)) error {
	return l.ReaderPlaces(ctx, fn)
}

// Forget implements mqttapi.Log.
func (l mqttLog) Forget(ctx context.Context, name string) error { return l.ForgetReader(ctx, name) }

func (n *node) mqttAppsMetrics(to func(admin.Sample)) {
	if n.mqttApps == nil {
		return
	}
	emit, st := emitTo(to), n.mqttApps.Stats()
	emit("edgeloop_mqttapi_connections", float64(st.Connections))
	emit("edgeloop_mqttapi_groups", float64(st.Groups))
	emit("edgeloop_mqttapi_groups_held_back", float64(st.HeldBack))
	emit("edgeloop_mqttapi_held_too_long_total", float64(st.HeldTooLong))
	for r := range mqttapi.NumRefused {
		emit("edgeloop_mqttapi_refused_total", float64(st.Refused[r]), mqttapi.Refused(r).String())
	}
	emit("edgeloop_mqttapi_sent_messages_total", float64(st.Sent))
	emit("edgeloop_mqttapi_too_large_total", float64(st.TooLarge))
	kept, size := n.retained.Counts()
	emit("edgeloop_mqttapi_retained_messages", float64(kept))
	emit("edgeloop_mqttapi_retained_bytes", float64(size))
	emit("edgeloop_mqttapi_panics_total", float64(st.Panics))
}
