package backbone

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"edgeloop/backbone/names"
	"edgeloop/backbone/servers"
	"edgeloop/backbone/uplog"
	"edgeloop/internal/pause"
)

// ReconnectAsker breaks the connection of everything but the committer, and
// returns when it is back.
func ReconnectAsker(b *Backbone) error {
	before := b.srv.Asker.NC.Stats().Reconnects
	if err := b.srv.Asker.NC.ForceReconnect(); err != nil {
		return err
	}
	for b.srv.Asker.NC.Stats().Reconnects == before || !b.srv.Asker.NC.IsConnected() {
		if pause.For(b.srv.Context(), time.Millisecond) != nil {
			return ErrClosed
		}
	}
	return nil
}

// SayNoMore has the next n requests of readers answered with "no messages", beside what the
// server answers.
func SayNoMore(b *Backbone, n int) (left func() int64, err error) {
	var todo atomic.Int64
	todo.Store(int64(n))
	sub, err := b.srv.Asker.NC.Subscribe("$JS.API.CONSUMER.MSG.NEXT."+names.StreamUp+".>", func(m *nats.Msg) {
		if todo.Add(-1) >= 0 {
			_ = m.RespondMsg(&nats.Msg{Header: nats.Header{servers.HeaderStatus: {"404"}, "Description": {"No Messages"}}})
		}
	})
	if err != nil {
		return nil, err
	}
	_ = sub // it ends with the connection
	return todo.Load, b.srv.Asker.NC.Flush()
}

// RestartServer ends the embedded server and starts it again.
func RestartServer(b *Backbone) error { return b.srv.Restart() }

// Consumers is how many readers a stream has.
func Consumers(ctx context.Context, b *Backbone, stream string) (int, error) {
	s, err := b.srv.Asker.JS.Stream(ctx, stream)
	if err != nil {
		return 0, err
	}
	info, err := s.Info(ctx)
	if err != nil {
		return 0, err
	}
	return info.State.Consumers, nil
}

// ReaderBytes is what came for readers so far.
func ReaderBytes(b *Backbone) uint64 { return b.srv.Reader.NC.Stats().InBytes }

// OpenWith is Open with seams.
func OpenWith(ctx context.Context, cfg Config, s Seams) (*Backbone, error) {
	cfg.Seams = s
	return Open(ctx, cfg)
}

// Disconnect breaks the committer's connection; it comes back by itself.
func Disconnect(b *Backbone) error {
	conns := b.srv.Conns() // that of questions, that of readers, the committer's
	return conns[2].NC.ForceReconnect()
}

// DeleteLog removes the log's stream, as an operator of an external server can.
func DeleteLog(ctx context.Context, b *Backbone) error {
	return b.srv.Asker.JS.DeleteStream(ctx, names.StreamUp)
}

// PurgeLog empties the log, as an operator who makes room.
func PurgeLog(ctx context.Context, b *Backbone) error {
	s, err := b.srv.Asker.JS.Stream(ctx, names.StreamUp)
	if err != nil {
		return err
	}
	return s.Purge(ctx)
}

// LastIn is what a stored line says about the end of its device's records.
func LastIn(line []byte) (l Last, err error) {
	var in struct{ Epoch, Seq, High uint64 }
	err = json.Unmarshal(line, &in)
	return Last{Seq: max(in.Seq, in.High), Epoch: in.Epoch}, err
}

// WriteOldLog writes a log as a version did that kept no mark: without an identity.
func WriteOldLog(ctx context.Context, t testing.TB, dir string, records int) {
	t.Helper()
	cfg, err := Config{DataDir: dir}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	b := &Backbone{}
	b.srv, err = servers.New(cfg.servers())
	defer func() {
		b.srv.Stop()
		if err := b.srv.Unlock(); err != nil {
			t.Error(err)
		}
	}()
	if err == nil {
		err = b.srv.Start(ctx)
	}
	if err == nil {
		err = uplog.New(cfg.log(), b.srv, nil).Ensure(ctx)
	}
	if err == nil {
		err = b.openStores(ctx, &cfg)
	}
	if err != nil {
		t.Fatal(err)
	}
	b.presence.Close()
	for i := range records {
		line := fmt.Appendf(nil, `{"tenant":"default","device":"d","epoch":0,"seq":%d,"type":"telemetry","received":0,"data":null}`, i+1)
		if _, err := b.srv.Asker.JS.Publish(ctx, "edgeloop.up.default.d", line); err != nil {
			t.Fatal(err)
		}
	}
}
