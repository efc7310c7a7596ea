package fleet

import (
	"crypto/tls"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	readSize    = 256 << 10
	eventsBatch = 512
	dialBatch   = 64 // dials between two looks at the sockets
	paceBatch   = 256
	sweepEvery  = 50 * time.Millisecond
	sweepShares = 10 // each device is looked at every half second
)

// wakeIndex marks the event of the mailbox's descriptor.
const wakeIndex = -1

// loop drives a contiguous range of devices on one goroutine.
type loop struct {
	// Immutable after construction.
	cfg   Config
	to    target
	first int // number of conns[0]
	base  time.Time
	unix0 int64
	epfd  int
	wake  int // eventfd
	table *crc32.Table
	done  chan struct{}

	// Owned by the goroutine of run, which calls every method but run itself, post and now.
	conns   []conn
	dialect dialect
	mqtt    *mqtt // the dialect, where it is MQTT over TCP
	opener  *opener
	tls     *tls.Config // nil for a URL without TLS
	framer  framer
	rng     *rand.Rand
	in      []byte
	plain   []byte // what TLS opened
	body    []byte
	events  []unix.EpollEvent
	counts  Counts
	tallies tallies
	hists   Histograms
	dials   dialQueue
	loads   []*load
	swept   int64 // when the last share was swept
	share   int
	stop    bool

	// Guarded by mu.
	mu    sync.Mutex
	tasks []func()
}

func newLoop(cfg Config, to target, first, count, number int) (*loop, error) {
	d, err := newDialect(cfg)
	if err != nil {
		return nil, err
	}
	o, err := newOpener(cfg, to, d)
	if err != nil {
		return nil, err
	}
	secure, err := cfg.config(to)
	if err != nil {
		return nil, err
	}
	l := &loop{
		tls: secure, plain: make([]byte, 32<<10),
		cfg: cfg, to: to, first: first, base: time.Now(), table: castagnoli(),
		dialect: d, opener: o, rng: rand.New(rand.NewPCG(cfg.Seed, uint64(number))),
		conns: make([]conn, count), in: make([]byte, readSize),
		events: make([]unix.EpollEvent, eventsBatch), hists: NewHistograms(),
		tallies: newTallies(), done: make(chan struct{}),
	}
	l.unix0 = l.base.UnixNano()
	l.framer.rng = l.rng
	l.mqtt, l.framer.bare = d.(*mqtt)
	for i := range l.conns {
		l.conns[i].fd = -1
	}
	if l.epfd, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("fleet: epoll: %w", err)
	}
	if l.wake, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		_ = unix.Close(l.epfd)
		return nil, fmt.Errorf("fleet: eventfd: %w", err)
	}
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: wakeIndex}
	if err = unix.EpollCtl(l.epfd, unix.EPOLL_CTL_ADD, l.wake, &ev); err != nil {
		l.closeDescriptors()
		return nil, fmt.Errorf("fleet: epoll: %w", err)
	}
	return l, nil
}

func (l *loop) closeDescriptors() {
	_ = unix.Close(l.wake)
	_ = unix.Close(l.epfd)
}

// now is Unix nanoseconds that never go back.
func (l *loop) now() int64 { return l.unix0 + int64(time.Since(l.base)) }

// post runs fn on the loop, soon. Any goroutine.
func (l *loop) post(fn func()) {
	l.mu.Lock()
	l.tasks = append(l.tasks, fn)
	first := len(l.tasks) == 1
	l.mu.Unlock()
	if first {
		_, _ = unix.Write(l.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
}

// run is the loop. The thread is kept so that the scheduler never moves it
// while it waits in the kernel.
func (l *loop) run() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(l.done)
	for !l.stop {
		n := l.wait(l.untilDue(l.now()))
		for i := range n {
			ev := &l.events[i]
			if ev.Fd == wakeIndex {
				l.runTasks()
				continue
			}
			l.handle(int(ev.Fd), ev)
		}
		now := l.now()
		l.dialDue(now)
		l.pace(now)
		l.sweep(now)
	}
	for i := range l.conns {
		if l.conns[i].fd >= 0 {
			reset(int(l.conns[i].fd))
			_ = unix.Close(int(l.conns[i].fd))
		}
	}
	l.closeDescriptors()
}

// untilDue is how long the loop may sleep.
func (l *loop) untilDue(now int64) time.Duration {
	due := min(l.swept+int64(sweepEvery), l.dials.due(l))
	for _, w := range l.loads {
		if w.interval > 0 {
			due = min(due, w.next)
		}
	}
	return time.Duration(max(0, due-now))
}

// wait is epoll_pwait2, whose timeout is in nanoseconds: a paced message must
// not wait for the next millisecond.
func (l *loop) wait(d time.Duration) int {
	ts := unix.NsecToTimespec(int64(d))
	n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(l.epfd), uintptr(unsafe.Pointer(&l.events[0])),
		uintptr(len(l.events)), uintptr(unsafe.Pointer(&ts)), 0, 0)
	if errno != 0 {
		return 0
	}
	return int(n)
}

func (l *loop) runTasks() {
	var b [8]byte
	_, _ = unix.Read(l.wake, b[:])
	l.mu.Lock()
	tasks := l.tasks
	l.tasks = nil
	l.mu.Unlock()
	for _, fn := range tasks {
		fn()
	}
}

// handle serves one event of device i. Events are edge-triggered: what is there
// is read to the end.
func (l *loop) handle(i int, ev *unix.EpollEvent) {
	c := &l.conns[i]
	if c.fd != ev.Pad { // an event of a socket that was closed in this batch
		return
	}
	if c.state == connecting {
		if !l.connected(i, ev.Events) {
			return
		}
	}
	if ev.Events&unix.EPOLLOUT != 0 && c.spill != nil && len(c.spill.out) > 0 {
		l.flush(i)
	}
	const over = unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR
	if ev.Events&(unix.EPOLLIN|over) == 0 || c.fd != ev.Pad {
		return
	}
	atEnd := ev.Events&over != 0
	if atEnd { // the node gave up on a stalled device: read its reason
		c.stalled = false
	}
	if !c.stalled {
		l.readAll(i, atEnd)
	}
}

// sweep looks at a share of the devices for answers that are overdue.
func (l *loop) sweep(now int64) {
	if now-l.swept < int64(sweepEvery) {
		return
	}
	l.swept = now
	l.share = (l.share + 1) % sweepShares
	for i := l.share; i < len(l.conns); i += sweepShares {
		l.check(i, now)
	}
}

func (l *loop) check(i int, now int64) {
	c := &l.conns[i]
	switch c.state {
	case connecting, upgrading:
		if now-c.since > int64(l.cfg.HandshakeTimeout) {
			l.fail(i, "handshake timeout")
		}
	case closing:
		if now-c.since > int64(l.cfg.HandshakeTimeout) {
			l.end(i, "close timeout", now)
		}
	case open:
		if !c.ready && now-c.since > int64(l.cfg.HandshakeTimeout) {
			l.end(i, "welcome timeout", now)
			return
		}
		if w := c.work; w != nil && w.echo.outstanding() > 0 && now-w.progress > int64(l.cfg.MessageTimeout) {
			l.counts[Lost] += w.echo.giveUp()
			l.topUp(i, now)
			l.write(i, now)
		}
		if hb := l.cfg.Heartbeat; hb > 0 && c.ready && now-int64(c.spoke)*int64(time.Second) >= int64(hb) {
			l.heartbeat(i, now)
		}
	}
}
