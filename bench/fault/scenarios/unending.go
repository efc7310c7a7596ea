package scenarios

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/gobwas/ws"

	"edgeloop/bench/fault/history"
	"edgeloop/bench/fault/life"
)

// What fills the memory of a node: messages that do not end.
const (
	unendingLimit = 192 << 20 // GOMEMLIMIT of the node
	unendingSize  = 1 << 20
	unendingPeers = 190 // together with the node at rest more than its limit
)

// knownHere is a device that was here, and keeps no record.
const knownHere = history.Hostile + "known"

// easeEvery is how long after some messages went the node is sure to have had its collector
// look, and says how much memory is in use.
const easeEvery = 8 * time.Second

// An unending is peers each of which has sent all of a message but its last byte.
type unending struct {
	life  *life.Life
	peers []net.Conn
	came  int
}

// dial connects a device; a refusal is an error of type ws.StatusError.
func (u *unending) dial(ctx context.Context, device string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	c, _, _, err := ws.Dialer{Protocols: []string{"edgeloop.v1.json"}}.Dial(ctx, u.life.URL+"?device="+device)
	return c, err
}

// fill has all peers connect, and then send: in between nobody may be refused yet.
func (u *unending) fill(ctx context.Context) error {
	for range unendingPeers {
		u.came++
		c, err := u.dial(ctx, fmt.Sprintf("%sunending%d", history.Hostile, u.came))
		if err != nil {
			return fmt.Errorf("connect a peer: %w", err)
		}
		u.peers = append(u.peers, c)
	}
	u.life.Journal.Inject("%d messages do not end", len(u.peers))
	whole := ws.MustCompileFrame(ws.MaskFrameInPlaceWith(ws.NewTextFrame(make([]byte, unendingSize)), [4]byte{1, 2, 3, 4}))
	for _, c := range u.peers {
		_ = c.SetWriteDeadline(time.Now().Add(30 * time.Second))
		if _, err := c.Write(whole[:len(whole)-1]); err != nil {
			return fmt.Errorf("send most of a message: %w", err)
		}
	}
	return nil
}

// release has so many of them hang up.
func (u *unending) release(n int) {
	for ; n > 0 && len(u.peers) > 0; n-- {
		last := len(u.peers) - 1
		u.peers[last].Close()
		u.peers = u.peers[:last]
	}
}

// ease has as many of them hang up as lead to a state and no further, of which a share of its
// memory is in use now. A node leaves a state below nine tenths of its bound.
func (u *unending) ease(to int, used float64) {
	bounds := []float64{1: 0.75, 2: 0.85, 3: 0.92}
	if to == 0 {
		u.release(len(u.peers))
		return
	}
	middle := 0.9 * (bounds[to] + bounds[to+1]) / 2
	u.release(int((used - middle) * unendingLimit / unendingSize))
}

// stands is how the node stands: its state, -1 where it does not say, since when, and which share of its
// memory is in use, 0 where that is not what it is short of.
func (u *unending) stands(ctx context.Context) (state int, since string, used float64) {
	var node struct {
		Load struct{ State, Since, Cause, Detail string }
	}
	status, answer, err := u.life.Node.Call(ctx, http.MethodGet, "/v1/node", nil)
	if err != nil || status != http.StatusOK || json.Unmarshal(answer, &node) != nil {
		return -1, "", 0
	}
	if node.Load.Cause == "memory" {
		_, _ = fmt.Sscanf(node.Load.Detail, "%f", &used) // 0 if it says something else
	}
	return slices.Index(loadStates, node.Load.State), node.Load.Since, used / 100
}

// call is the status of an answer, 0 where there is none.
func (u *unending) call(ctx context.Context, method, path string) int {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	status, _, _ := u.life.Node.Call(ctx, method, path, nil)
	return status
}

// comes is the status with which a device is answered: 200 where it is let in.
func (u *unending) comes(ctx context.Context, device string) int {
	c, err := u.dial(ctx, device)
	var refused ws.StatusError
	switch {
	case errors.As(err, &refused):
		return int(refused)
	case err != nil:
		return 0
	}
	c.Close()
	return http.StatusOK
}
