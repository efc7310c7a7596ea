package sinks

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"edgeloop/bench/fault/faults"
	"edgeloop/bench/fault/outlets"
	"edgeloop/internal/pause"
)

// place is where records leave to, and what can be done to that.
type place struct {
	config string // of the sink, YAML; "": the node has none
	flags  []string

	pause, resume func(ctx context.Context) error
	newest        func(ctx context.Context) error // while it is paused: go on with what comes
	lag           func(ctx context.Context) (uint64, error)
	down, up      func(ctx context.Context) error
	arrivals      func(ctx context.Context) (read func() (Latency, error)) // from now on
	forget        func()                                                   // what came, where it takes memory here
	close         func()
}

// through has a place taken away by a proxy in front of it.
func (p *place) through(x *faults.Proxy) {
	p.down = func(context.Context) error { x.Shut(); return nil }
	p.up = func(ctx context.Context) error { return errors.Join(x.Open(), p.resume(ctx)) }
}

// newPlace makes the destination of a kind.
func newPlace(ctx context.Context, t *target, kind, front, addr string) (p place, err error) {
	if kind == "grpc" {
		return newStream(t, front).place(), nil
	}
	p.forget = func() {}
	p.pause = func(ctx context.Context) error { return t.change(ctx, "pause") }
	p.resume = func(ctx context.Context) error { return t.change(ctx, "resume") }
	p.newest = func(ctx context.Context) error { return t.node.Rewind(ctx, t.sink, "newest") }
	p.lag = t.sinkLag
	p.down, p.up = p.pause, p.resume
	o, further, err := p.outlet(ctx, t, kind, front, addr)
	if err != nil {
		return p, err
	}
	t.sink = o.Name()
	p.config = fmt.Sprintf("sinks:\n  - {name: %s, %s%s}\n", t.sink, o.Keys(), further)
	p.arrivals = func(ctx context.Context) func() (Latency, error) { return come(ctx, o) }
	p.close = o.Close
	return p, nil
}

// outlet starts what a sink sends to, and gives further keys of it.
func (p *place) outlet(ctx context.Context, t *target, kind, front, addr string) (outlets.Outlet, string, error) {
	dir := filepath.Join(t.dir, kind)
	switch kind {
	case "webhook":
		hook, err := outlets.NewWebhook(front, addr, filepath.Join(t.dir, "token"))
		if err != nil {
			return nil, "", err
		}
		p.forget = hook.Forget
		p.through(hook.Proxy)
		return hook, "", nil
	case "redis":
		names := make([]string, t.opt.Connections)
		for i := range names {
			names[i] = fmt.Sprintf("bench-%07d", i)
		}
		redis, err := outlets.NewRedis(ctx, front, addr, dir, names)
		if err != nil {
			return nil, "", err
		}
		p.through(redis.Proxy)
		return redis, ", max_len: 2000", nil
	case "nats":
		nats, err := outlets.NewNATS(ctx, t.opt.NATS, front, addr, dir)
		if err != nil {
			return nil, "", err
		}
		p.through(nats.Proxy)
		return nats, "", nil
	case "mqtt":
		mqtt, err := outlets.NewMQTT(ctx, front, addr, dir)
		if err != nil {
			return nil, "", err
		}
		p.through(mqtt.Proxy)
		return mqtt, "", nil
	case "postgres":
		pg, err := outlets.NewPostgres(ctx, front, addr)
		if err != nil {
			return nil, "", err
		}
		p.through(pg.Proxy)
		return pg, "", nil
	case "kafka":
		kafka, err := outlets.NewKafka(front, addr, dir, false)
		if err != nil {
			return nil, "", err
		}
		p.through(kafka.Proxy)
		return kafka, "", nil
	}
	return outlets.NewFiles("files", dir), ", max_size: 1TiB", nil
}

// change asks for an action on the sink.
func (t *target) change(ctx context.Context, action string) error {
	status, answer, err := t.node.Call(ctx, "POST", "/v1/sinks/"+t.sink+"/"+action, nil)
	if err == nil && status != 200 {
		err = fmt.Errorf("bench: %s: status %d: %.200s", action, status, answer)
	}
	return err
}

// openWithin is how long a sink may take until it knows its place.
const openWithin = 30 * time.Second

// sinkLag is how many records the sink has not sent.
func (t *target) sinkLag(ctx context.Context) (uint64, error) {
	for deadline := time.Now().Add(openWithin); ; {
		all, err := t.node.Sinks(ctx)
		if err != nil {
			return 0, err
		}
		if len(all) == 1 && all[0].Lag != nil {
			return *all[0].Lag, nil
		}
		if time.Now().After(deadline) {
			return 0, fmt.Errorf("bench: the node does not know how far its sink is: %+v", all)
		}
		if err := pause.For(ctx, 50*time.Millisecond); err != nil {
			return 0, err
		}
	}
}
