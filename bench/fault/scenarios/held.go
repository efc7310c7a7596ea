package scenarios

import (
	"context"
	"time"

	"edgeloop/bench/fault/attack"
	"edgeloop/bench/fault/life"
)

// gib is what the nodes may use that have a GOMEMLIMIT as docs/operations.md says:
// nine tenths of it.
const gib = 1 << 30

// onTheWay is what a node may take at its default flags: --inflight-bytes and the
// log's pipeline, twice, as the collector lets it grow, and what it holds at rest.
const onTheWay = 2*(256<<20+32<<20) + 64<<20

func setupGiB(_ context.Context, l *life.Life) error { return limitMemory(l, gib, gib/10*9) }

// actHeld has devices send more than may be on its way, so that all of them are
// held back with what was read of them. The node, at its default flags, must live.
func actHeld(ctx context.Context, l *life.Life) error {
	return l.Beside(ctx, life.Bounds{Memory: onTheWay, Ack50: 250 * ms, Ack99: time.Second, Ping99: 250 * ms}, func(ctx context.Context) error {
		_, err := l.Attack(ctx, attack.Attack{Kind: "stream", Count: l.Many(100), Size: 65400, For: 6 * time.Second})
		return err
	})
}

// actInflate has devices send little that becomes much.
func actInflate(ctx context.Context, l *life.Life) error {
	return l.Beside(ctx, life.Bounds{Memory: onTheWay, Ack50: 250 * ms, Ack99: time.Second, Ping99: 250 * ms}, func(ctx context.Context) error {
		_, err := l.Attack(ctx, attack.Attack{Kind: "inflate", Count: l.Many(200), Size: 65400, For: 6 * time.Second})
		return err
	})
}

// actPartial has devices begin messages that never end.
func actPartial(ctx context.Context, l *life.Life) error {
	return l.Beside(ctx, life.Bounds{Memory: onTheWay, Ack50: 80 * ms, Ack99: 500 * ms, Ping99: 250 * ms}, func(ctx context.Context) error {
		_, err := l.Attack(ctx, attack.Attack{Kind: "partial", Count: l.Many(300), Size: 4<<20 - 1024, For: 6 * time.Second})
		return err
	})
}
