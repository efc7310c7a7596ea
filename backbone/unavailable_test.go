package backbone_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"edgeloop/backbone"
)

// questions are the calls that wait for the server, without the log's own.
func questions(b *backbone.Backbone) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"Last": func(ctx context.Context) error {
			_, err := b.Last(ctx, "acme", "d")
			return err
		},
		"StoreCommand": func(ctx context.Context) error {
			return b.StoreCommand(ctx, "acme", "d", "1", []byte("1"), 0)
		},
		"TakeCommands": func(ctx context.Context) error {
			_, err := b.TakeCommands(ctx, "acme", "d", all, func(string, []byte) {})
			return err
		},
		"Ban":   func(ctx context.Context) error { return b.Ban(ctx, "acme", "d", time.Time{}, "") },
		"Unban": func(ctx context.Context) error { return b.Unban(ctx, "acme", "d") },
		"Read": func(ctx context.Context) error {
			return b.Read(ctx, backbone.ReadOptions{}, func(uint64, []byte) error { return nil })
		},
	}
}

// While the server is away every question says so, and not that it took too long
// or that something failed that nobody knows. When it is back they are answered.
func TestBackbone_Unavailable(t *testing.T) {
	ext := startExternal(t)
	b := open(t, backbone.Config{NATSURL: ext.url})
	ext.stop()
	eventually(t, "the loss to be noticed", func() bool { return !b.State().OK() })
	for name, ask := range questions(b) {
		var away *backbone.UnavailableError
		if err := ask(t.Context()); !errors.As(err, &away) || away.Cause.Error() != "connection lost" {
			t.Errorf("%s without a server: %v", name, err)
		}
	}
	ext.start()
	for name, ask := range questions(b) {
		eventually(t, name+" to be answered again", func() bool { return ask(t.Context()) == nil })
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		if err := ask(cancelled); !errors.Is(err, context.Canceled) {
			t.Errorf("%s for a caller who left: %v", name, err)
		}
		late, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
		var away *backbone.UnavailableError
		if err := ask(late); !errors.Is(err, context.DeadlineExceeded) || errors.As(err, &away) {
			t.Errorf("%s that took too long: %v", name, err)
		}
		cancel()
	}
}

// A stream that an operator of the server has removed answers nothing.
func TestBackbone_UnavailableStream(t *testing.T) {
	b := open(t, backbone.Config{NATSURL: startExternal(t).url})
	if err := backbone.DeleteLog(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	var away *backbone.UnavailableError
	if _, err := b.Last(t.Context(), "acme", "d"); !errors.As(err, &away) {
		t.Errorf("Last without a stream: %v", err)
	}
}

// A disk without room is named, with what is free.
func TestBackbone_UnavailableDisk(t *testing.T) {
	b := open(t, backbone.Config{DataDir: t.TempDir(), DiskReserve: 1 << 60})
	for _, name := range []string{"StoreCommand", "Ban", "Unban"} {
		var away *backbone.UnavailableError
		var full *backbone.DiskFullError
		if err := questions(b)[name](t.Context()); !errors.As(err, &away) || !errors.As(err, &full) || full.Reserve != 1<<60 {
			t.Errorf("%s on a full disk: %v", name, err)
		}
	}
}
