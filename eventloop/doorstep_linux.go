package eventloop

import (
	"errors"
	"net"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// The doorstep. A device says what it wants as soon as it is connected; a peer that
// connects only to be there says nothing. The kernel's backlog treats them alike: thousands of
// the silent in front of a device make it wait until each was let in, looked at and
// sent away, and when the backlog is full the device's SYN is dropped. So while
// somebody has to give way in the lobby (crowded), the turnstile takes newcomers
// from the backlog as fast as they come and keeps them on the doorstep: a
// descriptor each, nothing more. Peers that speak are let into the lobby before all others.
// When the doorstep is full, the peer that has stood there silent the longest is sent away. A peer
// that has spoken is not: if there are only such peers, the others wait in the backlog. When
// thousands come back together, all are connected before the first of them speaks, so each gets a
// moment to speak, until it is seen that most let it pass.
type doorstep struct {
	// Immutable after construction.
	most int // how many may stand there

	// Owned by the turnstile.
	mute   int             // how many more were sent away than spoke since it was last empty; 0 to 2*most
	epfd   int             // 0 until it is needed
	at     map[int]stander // who stands there, by descriptor
	number uint64          // of the newest
	silent []stander       // in the order in which they came; also some that have spoken or left
	spoken []stander       // in the order in which they spoke; also some that have left
	events [64]unix.EpollEvent
	answer []byte

	// Atomic.
	standing atomic.Int64
	sentAway atomic.Uint64
	left     atomic.Uint64 // hung up
}

// A stander is one on the doorstep. Its number tells it from an earlier one with the
// same descriptor.
type stander struct {
	fd     int
	number uint64
	came   time.Time
	spoke  bool
}

const (
	// crowdLasts is how long newcomers are taken in by way of the doorstep after
	// somebody had to give way.
	crowdLasts = 10 * time.Second
	// doorstepSlice is how many are accepted between two looks at who has spoken.
	doorstepSlice = 64
	// doorstepWait is the longest time between two looks, and doorstepHaste while one
	// that has spoken waits for room.
	doorstepWait, doorstepHaste = 20, 2 // ms
	// doorstepGrace is how long a peer may stand there in silence before it can be sent away. It no
	// longer holds when those sent away outnumber those that spoke by as many as may stand there.
	doorstepGrace = 50 * time.Millisecond
)

// noteCrowd says that somebody has to give way.
func (s *listener) noteCrowd() { s.crowdedAt.Store(int64(time.Since(s.start))) }

// crowded says whether newcomers are taken in by way of the doorstep.
func (s *listener) crowded() bool {
	at := s.crowdedAt.Load()
	return at != 0 && time.Since(s.start)-time.Duration(at) < crowdLasts
}

// atDoorstep says whether the turnstile has to look after the doorstep.
func (s *listener) atDoorstep() bool {
	return s.door.standing.Load() > 0 || (s.crowded() && s.useTurnstile())
}

// roomOutside says whether one more may stand on the doorstep.
func (s *listener) roomOutside() bool {
	return s.crowded() && s.door.standing.Load() < int64(s.door.most) && s.roomForSocket()
}

// tendDoorstep is one round: let in, take from the backlog, wait for somebody to
// speak or come. false: this is not possible now.
func (s *listener) tendDoorstep() bool {
	d := &s.door
	if d.open(s.lnfd) != nil {
		return false
	}
	for s.roomInside() {
		fd, ok := d.next(!s.crowded())
		if !ok {
			break
		}
		if !s.letIn(fd) {
			return true
		}
	}
	wait := doorstepWait
	for n := 0; s.useTurnstile() && s.makeWay(); n++ {
		if n == doorstepSlice {
			wait = 0
			break
		}
		fd, peer, err := unix.Accept4(s.lnfd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil {
			if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.ECONNABORTED) {
				return s.pauseRescue(rescueRetry)
			}
			break
		}
		if s.turnsAway(addressOf(peer)) {
			_ = unix.Close(fd)
			continue
		}
		d.take(fd)
	}
	if wait > 0 && len(d.spoken) > 0 {
		wait = doorstepHaste
	}
	d.listen(wait)
	return true
}

// makeWay reports whether one more may be accepted. If there is no room, it sends away the peer
// that has been silent longest.
func (s *listener) makeWay() bool {
	d := &s.door
	if s.roomOutside() {
		return true
	}
	fds := [1]unix.PollFd{{Fd: int32(s.lnfd), Events: unix.POLLIN}} //nolint:gosec // a descriptor fits 31 bits
	if n, err := unix.Poll(fds[:], 0); err != nil || n == 0 {
		return false
	}
	fd, ok := d.quietest()
	if !ok {
		return false
	}
	if s.row.Greet == nil && !s.row.MQTT { // if it only was slow it hears when to come again
		d.answer = inHTTP(s.later("too many are connecting")).Append(d.answer[:0])
		_, _ = unix.Write(fd, d.answer)
	}
	d.end(fd)
	d.sentAway.Add(1)
	d.mute = min(d.mute+1, 2*d.most)
	s.noteCrowd()
	return true
}

// letIn hands one to a loop, and waits until it is counted there. false if the server
// stops.
func (s *listener) letIn(fd int) bool {
	defer s.door.leave(fd)
	s.door.unwatch(fd)
	return s.handOver(fd)
}

// handOver is register for a bare descriptor.
func (s *listener) handOver(fd int) bool {
	f := os.NewFile(uintptr(fd), "newcomer")
	nc, err := net.FileConn(f)
	_ = f.Close() // nc has a descriptor of its own
	if err != nil {
		s.acceptFailures.Add(1)
		return true
	}
	if nc.RemoteAddr() == nil { // it was reset meanwhile; gnet would panic, and keep a descriptor
		_ = nc.Close()
		s.door.left.Add(1)
		return true
	}
	return s.register(nc)
}

// open makes the epoll set, with the listening socket in it.
func (d *doorstep) open(lnfd int) error {
	if d.epfd > 0 {
		return nil
	}
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return err
	}
	d.epfd, d.at = epfd, map[int]stander{}
	return d.watch(lnfd)
}

// watch has each change of fd reported once.
func (d *doorstep) watch(fd int) error {
	ev := unix.EpollEvent{Fd: int32(fd), Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET} //nolint:gosec // a descriptor fits 31 bits
	return unix.EpollCtl(d.epfd, unix.EPOLL_CTL_ADD, fd, &ev)
}

// unwatch stops epoll from reporting fd. Closing fd is not enough where the socket lives on under
// another number.
func (d *doorstep) unwatch(fd int) { _ = unix.EpollCtl(d.epfd, unix.EPOLL_CTL_DEL, fd, nil) }

// close ends all that are there.
func (d *doorstep) close() {
	for fd := range d.at {
		d.end(fd)
	}
	if d.epfd > 0 {
		_ = unix.Close(d.epfd)
	}
}

func (d *doorstep) take(fd int) {
	if d.watch(fd) != nil {
		_ = unix.Close(fd)
		return
	}
	if len(d.silent) > 2*len(d.at)+doorstepSlice {
		d.silent = slices.DeleteFunc(d.silent, func(s stander) bool { return d.at[s.fd] != s })
	}
	if len(d.at) == 0 {
		d.mute = 0
	}
	d.number++
	s := stander{fd: fd, number: d.number, came: time.Now()}
	d.at[fd] = s
	d.silent = append(d.silent, s)
	d.standing.Add(1)
}

func (d *doorstep) leave(fd int) {
	delete(d.at, fd)
	d.standing.Add(-1)
}

// end closes a socket.
func (d *doorstep) end(fd int) {
	d.leave(fd)
	_ = unix.Close(fd)
}

// first takes from a queue the first stander that is still there, unchanged.
func (d *doorstep) first(queue *[]stander) (fd int, ok bool) {
	for len(*queue) > 0 {
		s := (*queue)[0]
		if *queue = (*queue)[1:]; d.at[s.fd] == s {
			return s.fd, true
		}
	}
	*queue = nil
	return 0, false
}

// next is who is to be let in.
func (d *doorstep) next(alsoSilent bool) (fd int, ok bool) {
	if fd, ok = d.first(&d.spoken); !ok && alsoSilent {
		fd, ok = d.first(&d.silent)
	}
	return fd, ok
}

// listen waits for somebody to speak, hang up or come, for wait milliseconds.
func (d *doorstep) listen(wait int) {
	n, err := unix.EpollWait(d.epfd, d.events[:], wait)
	if err != nil {
		return
	}
	for _, e := range d.events[:n] {
		s, ok := d.at[int(e.Fd)]
		switch {
		case !ok: // the listening socket
		case e.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0:
			d.end(s.fd)
			d.left.Add(1)
		case !s.spoke:
			d.hear(s)
		}
	}
}

func (d *doorstep) hear(s stander) {
	s.spoke = true
	d.mute = max(d.mute-1, 0)
	d.at[s.fd] = s
	d.spoken = append(d.spoken, s)
}

// quietest finds the peer that has been silent longest, and long enough to be sent away. Bytes that
// we have not read yet count as speech: our being late is not the peer's silence.
func (d *doorstep) quietest() (fd int, ok bool) {
	for {
		if d.mute < d.most && len(d.silent) > 0 && time.Since(d.silent[0].came) < doorstepGrace {
			return 0, false
		}
		if fd, ok = d.first(&d.silent); !ok {
			return 0, false
		}
		if n, err := unix.IoctlGetInt(fd, unix.TIOCINQ); err != nil || n == 0 {
			return fd, true
		}
		d.hear(d.at[fd])
	}
}
