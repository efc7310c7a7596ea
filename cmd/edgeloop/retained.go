package main

import (
	"context"

	"go.uber.org/zap"

	"edgeloop/admin/mqttapi"
	"edgeloop/envelope"
	"edgeloop/gateway"
	"edgeloop/retained"
)

// startRetained takes up what is retained, and keeps it until it is stopped. Whatever is wrong with
// that, the node starts: it says then that it retains nothing.
func (n *node) startRetained(ctx context.Context) (stopFunc, error) {
	if n.backbone.Shared() {
		return nil, nil
	}
	topics, err := mqttapi.ParseTopics(n.cfg.MQTTTopics)
	if err != nil {
		return nil, usageError{err}
	}
	off := n.cfg.MQTTRetained == 0 || n.cfg.MQTTApps == "off"
	within, cancel := context.WithTimeout(ctx, retainedMost)
	defer cancel()
	cfg := retained.Config{
		Log: n.backbone, Store: n.backbone.Retained(), Most: n.cfg.MQTTRetained, Logger: n.log.Logger,
		Topic: func(device, topic string) string { // what is retained came by MQTT
			return topics.OfMQTT(device, envelope.TypeTelemetry.String(), topic)
		},
	}
	if off {
		cfg.Most = mostRetained // nothing goes that was there
		if err := retained.New(cfg).SwitchOff(within); err != nil {
			n.log.Warn("retained messages may be incomplete when retaining is switched on again", zap.Error(err))
		}
		return nil, nil
	}
	t := retained.New(cfg)
	if err := t.Load(within); err != nil {
		n.log.Warn("nothing is retained in this run: cannot load the retained messages", zap.Error(err))
		return nil, nil
	}
	n.retained = t
	return inBackground(t.Run), nil
}

const (
	// retainedMost bounds the reading of what is retained at the start.
	retainedMost = startMost / 2
	// mostRetained is the most that --mqtt-retained-max may be.
	mostRetained = 1 << 20
)

// retainer is the same for the gateway.
func (n *node) retainer() gateway.Retainer {
	if n.retained == nil {
		return nil
	}
	return n.retained
}
