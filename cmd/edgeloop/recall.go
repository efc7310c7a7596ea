package main

import (
	"context"
	"time"

	"go.uber.org/zap"

	"edgeloop/backbone"
	"edgeloop/devicemgr"
)

// recallPatience is how long a start waits for the devices of a long log: from then on
// they are recalled beside a node that runs.
const recallPatience = 10 * time.Second

// startRecall has the session table remember who was here before the node started: the
// devices that the log has something of.
func (n *node) startRecall(ctx context.Context) (stopFunc, error) {
	ended := make(chan struct{})
	stop := inBackground(func(ctx context.Context) {
		defer close(ended)
		n.recall(ctx)
	})
	patience := time.NewTimer(recallPatience)
	defer patience.Stop()
	select {
	case <-ended:
	case <-patience.C:
	case <-ctx.Done():
	}
	return stop, nil
}

func (n *node) recall(ctx context.Context) {
	devices := 0
	err := n.backbone.Devices(ctx, n.cfg.RememberedMost, func(k backbone.Known) {
		was := devicemgr.Memory{Epoch: k.Epoch, Durable: k.Seq, Seen: time.UnixMilli(k.At)}
		if n.gateway.Devices().Remember(devicemgr.Key{Tenant: k.Tenant, Device: k.Device}, was) {
			devices++
		}
	})
	switch {
	case ctx.Err() != nil:
	case err != nil:
		n.log.Warn("cannot recall the devices of the log, absent ones are not listed until they return", zap.Error(err))
	case devices > 0:
		n.log.Info("recalled the devices of the log", zap.Int("devices", devices))
	}
}
