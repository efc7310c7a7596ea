package fault

import (
	"context"
	"fmt"
	"time"
)

// Bounds of a node that is attacked by those who are not devices.
const (
	strangersMemory = 160 << 20 // more than at rest
	handshakes      = 512       // --max-handshakes, the node's own default
	backlog         = 4096      // of the listener: it may have been accepted at once, and lie unread
)

// setupStrangers has the node ask for tokens and know sixteen keys, of which it has
// to try those that have no name.
func setupStrangers(_ context.Context, l *Life) error { return l.setupTokens(16) }

// actStrangers has thousands show a token that is not good, with bytes behind it
// that nobody may be made to keep.
func actStrangers(ctx context.Context, l *Life) error {
	token, err := strangersToken()
	if err != nil {
		return err
	}
	u, err := readUsage(l.Node.PID())
	if err != nil {
		return err
	}
	b := bounds{memory: u.rss + strangersMemory, descriptors: u.fds + 2*handshakes + backlog, join99: 5 * time.Second}
	return l.beside(ctx, b, func(ctx context.Context) error {
		t, err := l.attack(ctx, Attack{Kind: "bad-token", Count: l.many(6000), For: 6 * time.Second, Size: 128 << 10, Token: token})
		if err == nil && t["answered 401"] == 0 {
			return fmt.Errorf("fault: no bad token was answered with 401: %s", t)
		}
		return err
	})
}

// actSilent has thousands a second connect and say nothing, to a node that may have
// 3,000 descriptors: its log must find those that it needs for its next block.
func actSilent(ctx context.Context, l *Life) error {
	return l.beside(ctx, bounds{join99: 2 * time.Second}, func(ctx context.Context) error {
		_, err := l.attack(ctx, Attack{Kind: "silent", Count: l.many(12000), Rate: 2000, For: 8 * time.Second})
		return err
	})
}
