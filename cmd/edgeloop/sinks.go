package main

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.uber.org/zap"

	"edgeloop/backbone"
	"edgeloop/sink"
	"edgeloop/sink/file"
	"edgeloop/sink/kafka"
	"edgeloop/sink/mqtt"
	"edgeloop/sink/nats"
	"edgeloop/sink/postgres"
	"edgeloop/sink/redis"
	"edgeloop/sink/webhook"
)

// sinkKinds are the destinations that there are, by the type that the configuration gives.
var sinkKinds = map[string]sink.Kind{
	"file":     file.New,
	"kafka":    kafka.New,
	"mqtt":     mqtt.New,
	"nats":     nats.New,
	"postgres": postgres.New,
	"redis":    redis.New,
	"webhook":  webhook.New,
}

// planSinks checks the sinks; secrets are read, and nothing is connected to.
func (s *serveCmd) planSinks() error {
	_, err := s.parseSinks(s.Sinks)
	return err
}

// parseSinks reads the sinks. One that asks for what this node does not keep would wait for it
// for ever.
func (s *serveCmd) parseSinks(list []any) ([]sink.Spec, error) {
	specs, err := sink.Parse(list, sinkKinds)
	if err != nil {
		return nil, err
	}
	for i := range specs {
		for _, t := range specs[i].Filter.Types {
			if isEvent(t) && !slices.Contains(s.Events, t) {
				return nil, fmt.Errorf("sinks: %s: filter: types: this node keeps no events %q: give --events=%s", specs[i].Name, t, strings.Join(append(slices.Clone(s.Events), t), ","))
			}
		}
	}
	return specs, nil
}

// startSinks starts the sinks. That their destinations, or the log's servers, are not
// there is no reason to wait.
func (n *node) startSinks(ctx context.Context) (stopFunc, error) {
	n.pacer = n.newPacer()
	n.sinks = sink.NewSet(sink.Node{
		Open: func(ctx context.Context, name string, start backbone.Start) (sink.Reader, error) {
			r, err := n.backbone.OpenReader(ctx, name, start)
			if err != nil {
				return nil, err
			}
			return pacedReader{r, n.pacer, name}, nil
		},
		Seek:    n.backbone.SeekReader,
		Letters: n.backbone.Letters(),
		Logger:  n.log.Logger,
	})
	specs, err := n.cfg.parseSinks(n.cfg.Sinks)
	if err != nil {
		return nil, usageError{err}
	}
	return n.sinks.Stop, n.sinks.Apply(ctx, specs)
}

// loadSinks reads the sinks again; use puts them in force, nil if nothing has changed.
func (n *node) loadSinks(fresh settings) (use func(context.Context), err error) {
	list, _ := fresh[sinksKey].([]any)
	if reflect.DeepEqual(n.told.Load().given[sinksKey], fresh[sinksKey]) {
		return nil, nil
	}
	specs, err := n.cfg.parseSinks(list)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, stopSinks)
		defer cancel()
		if err := n.sinks.Apply(ctx, specs); err != nil {
			n.log.Warn("the sinks changed, and something was cut", zap.Error(err))
		}
	}, nil
}
