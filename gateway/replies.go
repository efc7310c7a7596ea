package gateway

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"sync"
	"time"

	"edgeloop/devicemgr"
	"edgeloop/envelope"
)

// replies joins the replies of devices to those who wait for them.
type replies struct {
	// Guarded by mu.
	mu      sync.Mutex
	waiting map[string]expected // by command id
}

type expected struct {
	key    devicemgr.Key
	answer chan Reply // capacity 1: whoever replies never waits
}

// expect announces that someone will wait for the reply to id.
func (r *replies) expect(id string, key devicemgr.Key) <-chan Reply {
	e := expected{key, make(chan Reply, 1)}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting == nil {
		r.waiting = make(map[string]expected)
	}
	r.waiting[id] = e
	return e.answer
}

// forget ends the wait for id.
func (r *replies) forget(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.waiting, id)
}

// take finds who waits for id's reply from this device, once.
func (r *replies) take(id []byte, key devicemgr.Key) (chan<- Reply, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, ok := r.waiting[string(id)]
	if !ok || e.key != key {
		return nil, false
	}
	delete(r.waiting, string(id))
	return e.answer, true
}

// replied takes a device's reply. m is borrowed.
func (g *Gateway) replied(l *link, m *envelope.Message) {
	answer, ok := g.replies.take(m.ID, l.session.Key())
	if !ok {
		g.counts.replyMiss.Add(1) // nobody waits, or not any more
		return
	}
	g.counts.replyHit.Add(1)
	answer <- Reply{OK: m.OK, Data: append([]byte(nil), m.Data...), Code: string(m.Code), Text: string(m.Text)}
}

// await waits for a reply, if at all.
func await(ctx context.Context, answer <-chan Reply, wait time.Duration) (Outcome, Reply) {
	if wait <= 0 {
		return OutcomeSent, Reply{}
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case r := <-answer:
		return OutcomeReplied, r
	case <-t.C:
	case <-ctx.Done():
	}
	return OutcomeNoReply, Reply{}
}

// newID names a command: 48 bits of milliseconds and 80 of chance in Crockford's base32, so that
// ids sort by time. It looks like a ULID and is none: the two spare bits are at its end, not at its
// front.
func newID() string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(time.Now().UnixMilli())<<16) //nolint:gosec // after 1970
	_, _ = rand.Read(b[6:])                                               // never fails
	return crockford.EncodeToString(b[:])
}

var crockford = base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)
