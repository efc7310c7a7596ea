package fleet

import (
	"container/heap"
	"math"
	"time"

	"golang.org/x/sys/unix"
)

// dialQueue says which device dials next and when. Owned by its loop.
type dialQueue struct {
	ready    []int32 // due now, in order
	head     int
	later    waiting // due in the future
	hint     map[int]time.Duration
	interval float64 // nanoseconds between two dials; 0 = no limit
	next     float64
	most     int // handshakes under way at most
}

// retry is a device that dials at a time.
type retry struct {
	at int64
	i  int32
}

// waiting is a heap of retries, the earliest on top.
type waiting []retry

func (w waiting) Len() int           { return len(w) }
func (w waiting) Less(a, b int) bool { return w[a].at < w[b].at }
func (w waiting) Swap(a, b int)      { w[a], w[b] = w[b], w[a] }

// Push and Pop are container/heap's.
func (w *waiting) Push(x any) { *w = append(*w, x.(retry)) }

// Pop removes the last element.
func (w *waiting) Pop() any {
	old := *w
	x := old[len(old)-1]
	*w = old[:len(old)-1]
	return x
}

// delay remembers how long the node asked device i to stay away.
func (q *dialQueue) delay(i int, d time.Duration) {
	if q.hint == nil {
		q.hint = make(map[int]time.Duration)
	}
	q.hint[i] = d
}

// due is when the next dial could happen.
func (q *dialQueue) due(l *loop) int64 {
	at := int64(math.MaxInt64)
	if q.head < len(q.ready) && int(l.counts[Dialing]) < q.most {
		at = int64(q.next)
	}
	if len(q.later) > 0 {
		at = min(at, q.later[0].at)
	}
	return at
}

// pop takes the next device that may dial now.
func (q *dialQueue) pop(now int64) (i int, ok bool) {
	for len(q.later) > 0 && q.later[0].at <= now {
		q.ready = append(q.ready, heap.Pop(&q.later).(retry).i)
	}
	if q.head == len(q.ready) {
		q.ready, q.head = q.ready[:0], 0
		return 0, false
	}
	if q.interval > 0 {
		if q.next > float64(now) {
			return 0, false
		}
		q.next = max(q.next, float64(now)-float64(10*time.Millisecond)) + q.interval
	}
	i = int(q.ready[q.head])
	q.head++
	return i, true
}

func (l *loop) dialDue(now int64) {
	for range dialBatch {
		if int(l.counts[Dialing]) >= l.dials.most {
			return
		}
		i, ok := l.dials.pop(now)
		if !ok {
			return
		}
		if c := &l.conns[i]; c.want && c.state == idle {
			l.dial(i, now)
		}
	}
}

func (l *loop) dial(i int, now int64) {
	c := &l.conns[i]
	c.tries++
	c.state, c.since = connecting, now
	l.counts[Dialed]++
	l.counts[Dialing]++
	fd, err := dial(l.to.addr, l.first+i, l.cfg.PerSource, l.cfg.ReceiveBuffer)
	if err != nil {
		l.fail(i, "connect: "+errnoName(err))
		return
	}
	c.fd = int32(fd)
	ev := unix.EpollEvent{
		Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET,
		Fd:     int32(i), Pad: int32(fd),
	}
	if err := unix.EpollCtl(l.epfd, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		l.fail(i, "epoll: "+errnoName(err))
	}
}

// connected looks at the result of connect and sends the opening handshake.
func (l *loop) connected(i int, events uint32) bool {
	c := &l.conns[i]
	if events&(unix.EPOLLERR|unix.EPOLLHUP) != 0 {
		errno, err := unix.GetsockoptInt(int(c.fd), unix.SOL_SOCKET, unix.SO_ERROR)
		if err != nil || errno == 0 {
			errno = int(unix.ECONNRESET)
		}
		l.fail(i, "connect: "+errnoName(unix.Errno(errno)))
		return false
	}
	if events&unix.EPOLLOUT == 0 {
		return false
	}
	c.state = upgrading
	if l.tls == nil {
		l.ask(i)
	} else {
		c.secure = newSecure(l.tls)
		l.decipher(i, c.secure, nil)
	}
	return c.state == upgrading
}

// ask sends the opening handshake.
func (l *loop) ask(i int) {
	c := &l.conns[i]
	if l.mqtt != nil {
		l.framer.out = l.mqtt.hello(l.framer.out, l.opener, l.first+i)
	} else {
		l.framer.out = l.opener.request(l.framer.out, l.first+i, c.tries)
	}
	l.write(i, c.since)
}

// answered reads the node's answer to the handshake and returns its size.
func (l *loop) answered(i int, b []byte, now int64) int {
	if l.mqtt != nil {
		return l.connacked(i, b, now)
	}
	c := &l.conns[i]
	r, err := l.opener.parse(b, l.first+i, c.tries)
	switch {
	case err != nil:
		l.fail(i, "handshake: "+err.Error())
	case r.size == 0:
	case r.status != 101:
		l.tallies.status[r.status]++
		l.counts[Refused]++
		l.dials.delay(i, r.retryAfter)
		l.fail(i, "")
	default:
		c.state = open
		l.counts[Opened]++
		l.counts[Open]++
		if !l.dialect.welcomes() {
			l.counts[Dialing]--
			l.registered(i, now)
		}
	}
	return r.size
}

// registered makes device i ready: it may send from now on.
func (l *loop) registered(i int, now int64) {
	c := &l.conns[i]
	if l.dialect.welcomes() {
		l.counts[Dialing]--
	}
	c.ready, c.failed, c.heard = true, 0, 0
	if c.work != nil {
		c.work.heard = nil
	}
	l.counts[Registered]++
	l.counts[Ready]++
	l.tallies.lastReady = now
	l.hists.record(Handshake, now-c.since)
	if c.gone != 0 {
		l.hists.record(Absence, now-c.gone)
		c.gone = 0
	}
	c.since = now
	l.topUp(i, now)
}

// fail ends an attempt that came to nothing. why "" is not tallied.
func (l *loop) fail(i int, why string) {
	c := &l.conns[i]
	l.counts[Dialing]--
	if why != "" {
		l.counts[Failed]++
		l.tallies.reason[why]++
	}
	c.failed = min(c.failed+1, 20)
	l.release(i)
	l.again(i, l.now())
}

// end closes an open connection, or one that the node ended.
func (l *loop) end(i int, why string, now int64) {
	c := &l.conns[i]
	if c.state == connecting || c.state == upgrading {
		l.fail(i, why)
		return
	}
	if !c.ready && l.dialect.welcomes() {
		l.counts[Dialing]--
	}
	l.counts[Open]--
	l.counts[Closed]++
	switch {
	case c.ordered:
		l.counts[Dropped]++
	case c.state != closing:
		l.tallies.reason[why]++
	}
	if c.ready {
		l.counts[Ready]--
		c.gone = now
	}
	l.release(i)
	if c.work != nil {
		l.counts[Cut] += c.work.echo.giveUp()
	}
	l.again(i, now)
}

// release gives the socket and its buffers back.
func (l *loop) release(i int) {
	c := &l.conns[i]
	if c.fd >= 0 {
		_ = unix.Close(int(c.fd))
	}
	if c.secure != nil {
		c.secure.close()
	}
	c.fd, c.state, c.spill, c.secure = -1, idle, nil, nil
	c.ready, c.ordered, c.stalled = false, false, false
}

// again queues device i for its next attempt: at once after a first end, later
// when the node asked for it, with doubling, jittered waits after failures.
func (l *loop) again(i int, now int64) {
	c := &l.conns[i]
	hint := l.dials.hint[i]
	delete(l.dials.hint, i)
	if !c.want {
		return
	}
	wait := int64(0)
	switch {
	case hint > 0:
		wait = int64(hint) + l.rng.Int64N(int64(hint)/4+1)
	case c.failed > 0:
		top := min(int64(l.cfg.Backoff)>>6<<min(c.failed-1, 6), int64(l.cfg.Backoff))
		wait = top/2 + l.rng.Int64N(top/2+1)
	}
	l.queue(i, now+wait, now)
}

func (l *loop) queue(i int, at, now int64) {
	if at <= now {
		l.dials.ready = append(l.dials.ready, int32(i))
		return
	}
	heap.Push(&l.dials.later, retry{at: at, i: int32(i)})
}
