package scenarios

import (
	"context"
	"time"

	"edgeloop/bench/fault/attack"
	"edgeloop/bench/fault/life"
)

// actGreedy has devices send as much as they can: one with the largest messages,
// twenty of them, and a thousand with small messages and full windows. A device
// that sends little must get its turn.
func actGreedy(ctx context.Context, l *life.Life) error {
	for _, a := range []attack.Attack{
		{Kind: "stream", Count: 1, Size: 65000},
		{Kind: "stream", Count: 20, Size: 65000},
		{Kind: "stream", Count: l.Many(1000), Size: 50},
	} {
		a.For = 3 * time.Second
		err := l.Beside(ctx, life.Bounds{}, func(ctx context.Context) error {
			_, err := l.Attack(ctx, a)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
