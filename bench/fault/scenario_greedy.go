package fault

import (
	"context"
	"time"
)

// actGreedy has devices send as much as they can: one with the largest messages,
// twenty of them, and a thousand with small messages and full windows. Whoever
// sends little must get its turn.
func actGreedy(ctx context.Context, l *Life) error {
	for _, a := range []Attack{
		{Kind: "stream", Count: 1, Size: 65000},
		{Kind: "stream", Count: 20, Size: 65000},
		{Kind: "stream", Count: l.many(1000), Size: 50},
	} {
		a.For = 3 * time.Second
		err := l.beside(ctx, bounds{}, func(ctx context.Context) error {
			_, err := l.attack(ctx, a)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
