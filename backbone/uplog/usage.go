package uplog

import (
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"edgeloop/internal/pause"
)

// Usage is what the log takes of its room, and how long the rest lasts.
type Usage struct {
	Records uint64
	Bytes   int64     // in the store
	Oldest  time.Time // when the oldest record was stored; zero: there is none
	Free    int64     // bytes of the disk; -1: it is elsewhere
	Room    int64     // bytes until a bound is reached, of the log or of its disk; -1: none is known
	Stops   bool      // at the bound nothing more is taken; else the oldest records are forgotten
	Rate    float64   // bytes a second that came in the last hour, or since the start
	// FullIn is how long Room lasts at Rate; 0: it is not known yet, or the records leave
	// by their age before.
	FullIn time.Duration
}

// Filling says that the log is about to take no more: soon, or with little room left.
func (u *Usage) Filling() bool {
	return u.Stops && (u.FullIn > 0 && u.FullIn < fillingSoon || u.Room >= 0 && u.Room < (u.Bytes+u.Room)/20)
}

const (
	usageEvery  = 5 * time.Second
	usageSample = time.Minute // between two samples of the rate
	usageSpan   = 60          // samples
	usageSettle = time.Minute // a rate of less time says nothing
	usageAgain  = time.Hour   // between two lines while the log fills
	fillingSoon = 24 * time.Hour
)

// usagePoint is where the log ended at a time.
type usagePoint struct {
	at   time.Time
	last uint64
}

// usageMeter makes a Usage of what the store says. Owned by one goroutine.
type usageMeter struct {
	points []usagePoint // the oldest first
	said   time.Time    // that the log fills
}

// note takes what the store says of the log now; free and reserve are of its disk, -1
// where that is elsewhere.
func (m *usageMeter) note(now time.Time, s *jetstream.StreamInfo, free, reserve int64) Usage {
	u := Usage{Records: s.State.Msgs, Bytes: int64(s.State.Bytes), Free: free, Room: -1} //nolint:gosec // of a disk
	if u.Records > 0 {
		u.Oldest = s.State.FirstTime
	}
	if most := s.Config.MaxBytes; most > 0 {
		u.Room, u.Stops = max(most-u.Bytes, 0), s.Config.Discard == jetstream.DiscardNew
	}
	if left := max(free-reserve, 0); free >= 0 && (u.Room < 0 || left < u.Room) {
		u.Room, u.Stops = left, true
	}
	if n := len(m.points); n == 0 || now.Sub(m.points[n-1].at) >= usageSample || m.points[n-1].last > s.State.LastSeq {
		if n > 0 && m.points[n-1].last > s.State.LastSeq { // made anew
			m.points = m.points[:0]
		}
		m.points = append(m.points, usagePoint{now, s.State.LastSeq})
		m.points = m.points[max(0, len(m.points)-usageSpan):]
	}
	from := m.points[0]
	if span := now.Sub(from.at); span >= usageSettle && u.Records > 0 {
		mean := float64(u.Bytes) / float64(u.Records)
		u.Rate = float64(s.State.LastSeq-from.last) * mean / span.Seconds()
	}
	u.FullIn = u.lasts(s.Config.MaxAge)
	return u
}

// lasts is how long Room does; records leave after maxAge, 0 for never.
func (u *Usage) lasts(maxAge time.Duration) time.Duration {
	if u.Room < 0 || u.Rate < 1 {
		return 0
	}
	if maxAge > 0 && u.Rate*maxAge.Seconds() < float64(u.Bytes+u.Room) {
		return 0
	}
	const most = 100 * 365 * 24 * time.Hour
	seconds := float64(u.Room) / u.Rate
	if seconds >= most.Seconds() {
		return 0
	}
	return max(time.Duration(seconds*float64(time.Second)), time.Nanosecond)
}

// watchUsage keeps Usage up to date, and says when the log fills.
func (l *Log) watchUsage() {
	m := usageMeter{}
	for {
		if info, err := l.srv.Info(l.ctx, l.logWas.Name); err == nil { // if not, State says why
			free, reserve := l.srv.Disk()
			now := time.Now()
			u := m.note(now, info, free, reserve)
			l.usage.Store(&u)
			l.noteTenants(&info.State)
			if u.Filling() && now.Sub(m.said) >= usageAgain {
				m.said = now
				l.cfg.Logger.Warn("the log fills: when it is full, devices are held back; give it more room, or have it forget the oldest",
					zap.Int64("bytes", u.Bytes), zap.Int64("room", u.Room), zap.Int64("disk_free", u.Free), zap.Duration("full_in", u.FullIn))
			}
		}
		if pause.For(l.ctx, usageEvery) != nil {
			return
		}
	}
}

// Usage is what the log took some seconds ago; ok is false as long as nobody has said.
// Any goroutine may call it.
func (l *Log) Usage() (u Usage, ok bool) {
	if p := l.usage.Load(); p != nil {
		return *p, true
	}
	return Usage{}, false
}
