package eventloop

import "time"

// Naps. Each message that comes alone wakes the loop's thread, which wakes a worker's:
// at 20,000 messages a second that costs more than all that is done with them. So a loop
// that has nothing to do for now, and that has just handed on what is answered later
// anyway, lets a few sockets become ready before it looks again. Anything posted to
// it, an acknowledgement first of all, ends the nap. What comes after a silence of
// napWithin is not held up, and neither is anything while a socket waits.
//
// The nap is a timer of the runtime, which gives the processor to others meanwhile; in a blocking
// epoll_wait the loop would keep it until the runtime's monitor took it away.
const napWithin = 2 * time.Millisecond

// A nap that ends more than napLate behind its time says that others want the processor:
// then each nap costs the loop its turn, and what comes gathers without it. No other nap
// follows for napPause.
const (
	napLate  = 2 * time.Millisecond
	napPause = 50 * time.Millisecond
)

// GatherOnLoop says that what a Receiver has just handed on is not answered at once: the
// loop may nap for Config.Nap.
func (c *Conn) GatherOnLoop() {
	c.loop.assertOnLoop()
	c.loop.gather = true
}

// napOnLoop follows each read that handed on something to gather for.
func (l *loop) napOnLoop() {
	l.gather = false
	if l.s.cfg.Nap <= 0 {
		return
	}
	now := time.Now()
	if now.Before(l.awake) {
		return
	}
	if now.Sub(l.napped) > napWithin {
		l.napped = now
		return
	}
	l.napping.Store(true) // before looking whether there is something to do: who posts from here on ends it
	if !l.busyOnLoop() {
		l.sleepOnLoop()
		l.nappedOnLoop(now, time.Now())
	}
	l.napping.Store(false)
}

// nappedOnLoop notes a nap.
func (l *loop) nappedOnLoop(began, ended time.Time) {
	l.napped = ended
	if ended.Sub(began) > l.s.cfg.Nap+napLate {
		l.awake = ended.Add(napPause)
	}
}

func (l *loop) sleepOnLoop() {
	select {
	case <-l.bell: // of the nap before
	default:
	}
	if l.mailbox.waiting() {
		return
	}
	l.alarm.Reset(l.s.cfg.Nap)
	select {
	case <-l.bell:
		l.alarm.Stop()
	case <-l.alarm.C:
	}
}

// busyOnLoop says whether there is something to do now.
func (l *loop) busyOnLoop() bool { return l.rung || l.someoneWaitsOnLoop() }

// endNap ends the nap after something was posted; any goroutine.
func (l *loop) endNap() {
	if l.napping.Load() {
		select {
		case l.bell <- struct{}{}:
		default:
		}
	}
}
