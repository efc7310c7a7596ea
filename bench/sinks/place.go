package sinks

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"edgeloop/bench/fault/faults"
	"edgeloop/bench/fault/outlets"
	"edgeloop/internal/pause"
)

// place is where a sink sends to, and how to take it away.
type place struct {
	outlets.Outlet
	further  string // keys
	down, up func(ctx context.Context) error
	forget   func() // what came, where it takes memory here
}

// newPlace makes the destination of a kind.
func newPlace(ctx context.Context, t *target, kind, front, addr string) (p place, err error) {
	p.forget = func() {}
	through := func(x *faults.Proxy) {
		p.down = func(context.Context) error { x.Shut(); return nil }
		p.up = func(ctx context.Context) error { return errors.Join(x.Open(), t.change(ctx, "resume")) }
	}
	switch kind {
	case "webhook":
		hook, err := outlets.NewWebhook(front, addr, filepath.Join(t.dir, "token"))
		if err != nil {
			return p, err
		}
		p.Outlet, p.forget = hook, hook.Forget
		through(hook.Proxy)
	case "redis":
		names := make([]string, t.opt.Connections)
		for i := range names {
			names[i] = fmt.Sprintf("bench-%07d", i)
		}
		redis, err := outlets.NewRedis(ctx, front, addr, filepath.Join(t.dir, "redis"), names)
		if err != nil {
			return p, err
		}
		p.Outlet, p.further = redis, ", max_len: 2000"
		through(redis.Proxy)
	case "nats":
		nats, err := outlets.NewNATS(ctx, t.opt.NATS, front, addr, filepath.Join(t.dir, "nats"))
		if err != nil {
			return p, err
		}
		p.Outlet = nats
		through(nats.Proxy)
	case "mqtt":
		mqtt, err := outlets.NewMQTT(ctx, front, addr, filepath.Join(t.dir, "mqtt"))
		if err != nil {
			return p, err
		}
		p.Outlet = mqtt
		through(mqtt.Proxy)
	case "postgres":
		pg, err := outlets.NewPostgres(ctx, front, addr)
		if err != nil {
			return p, err
		}
		p.Outlet = pg
		through(pg.Proxy)
	case "file":
		p.Outlet = outlets.NewFiles("files", filepath.Join(t.dir, "files"))
		p.further = ", max_size: 1TiB"
		p.down = func(ctx context.Context) error { return t.change(ctx, "pause") }
		p.up = func(ctx context.Context) error { return t.change(ctx, "resume") }
	}
	return p, nil
}

// change asks for an action on the sink.
func (t *target) change(ctx context.Context, action string) error {
	status, answer, err := t.node.Call(ctx, "POST", "/v1/sinks/"+t.place.Name()+"/"+action, nil)
	if err == nil && status != 200 {
		err = fmt.Errorf("bench: %s: status %d: %.200s", action, status, answer)
	}
	return err
}

// arrivals is how late records came from now on, as far as their devices said when they sent
// them. Call it again with what it returned to read.
func (p place) arrivals(ctx context.Context) (read func() (Latency, error)) {
	if files, ok := p.Outlet.(*outlets.Files); ok {
		return watch(ctx, files.Growing())
	}
	since := time.Now()
	return func() (Latency, error) {
		var late []float64
		err := p.Read(ctx, func(at time.Time, line []byte) error {
			if at.Before(since) {
				return nil
			}
			ms, err := lateness(at, line)
			late = append(late, ms)
			return err
		})
		return sum(late), err
	}
}

// lateness is the time from a device to its record's arrival, in milliseconds.
func lateness(at time.Time, line []byte) (float64, error) {
	var r struct{ TS int64 }
	err := json.Unmarshal(line, &r)
	return float64(at.UnixMicro())/1e3 - float64(r.TS), err
}

func sum(late []float64) Latency {
	if len(late) == 0 {
		return Latency{}
	}
	slices.Sort(late)
	at := func(q int) float64 { return late[(len(late)-1)*q/100] }
	return Latency{Records: len(late), P50: at(50), P99: at(99)}
}

// watch looks every millisecond how far a file has grown. What it sees is written, and synced
// soon after.
func watch(ctx context.Context, path string) (read func() (Latency, error)) {
	ctx, stop := context.WithCancel(ctx)
	var late []float64
	var failed error
	var wg sync.WaitGroup
	wg.Go(func() { late, failed = follow(ctx, path) })
	return func() (Latency, error) {
		stop()
		wg.Wait()
		return sum(late), failed
	}
}

func follow(ctx context.Context, path string) (late []float64, err error) {
	file, err := os.Open(path)
	for errors.Is(err, fs.ErrNotExist) && pause.For(ctx, time.Millisecond) == nil {
		file, err = os.Open(path)
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	end, err := file.Seek(0, io.SeekEnd)
	if err == nil && end > 0 { // it may be just growing: what is left of that line is passed over
		_, err = file.Seek(end-1, io.SeekStart)
	}
	if err != nil {
		return nil, err
	}
	in, line, passed := bufio.NewReaderSize(file, 1<<20), []byte(nil), end == 0
	for pause.For(ctx, time.Millisecond) == nil {
		for at := time.Now(); ; {
			part, err := in.ReadSlice('\n')
			line = append(line, part...)
			if err != nil {
				break // the end, for now
			}
			if !passed {
				passed, line = true, line[:0]
				continue
			}
			ms, err := lateness(at, line)
			if err != nil {
				return late, err
			}
			late, line = append(late, ms), line[:0]
		}
	}
	return late, nil
}
