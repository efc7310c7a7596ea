package grpcapi

import (
	"sync/atomic"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Refused says why a call or a connection was not served.
type Refused uint8

// The reasons.
const (
	refusedToken       Refused = iota // no token, or a wrong one
	refusedScope                      // the token does not allow it
	refusedStreams                    // as many streams as may be
	refusedCalls                      // as many other calls as may be
	refusedConnections                // as many connections as may be
	refusedReaders                    // as many names of readers as may be
	refusedOverloaded                 // the node has too much to do
	NumRefused         = iota
)

// String is the reason in metrics.
func (r Refused) String() string {
	return [NumRefused]string{"token", "scope", "too-many-streams", "too-many-calls", "too-many-connections", "too-many-readers", "overloaded"}[r]
}

// Class is how a call ended.
type Class uint8

// The classes.
const (
	ended      Class = iota // as it should, or by the caller
	failed                  // by the node
	wrong                   // the caller asked for what is not, or may not be
	NumClasses = iota
)

// String is the class in metrics.
func (c Class) String() string { return [NumClasses]string{"ok", "failed", "refused"}[c] }

func class(err error) Class {
	switch status.Code(err) {
	case codes.OK, codes.Canceled:
		return ended
	case codes.Internal, codes.Unavailable, codes.Unknown:
		return failed
	}
	return wrong
}

// counts are those of a server, atomic.
type counts struct {
	refused [NumRefused]atomic.Uint64
	calls   [NumClasses]atomic.Uint64
	records atomic.Uint64
	taken   atomic.Uint64
	behind  atomic.Uint64
	panics  atomic.Uint64
}

// Stats are the counters since New, and present values.
type Stats struct {
	Connections, Streams int
	Refused              [NumRefused]uint64
	Calls                [NumClasses]uint64
	Records              uint64 // given to readers
	Taken                uint64 // readings ended because another has the reader
	Behind               uint64 // watches ended because their clients fell behind
	Panics               uint64
}

// Stats returns the counters. Any goroutine may call it.
func (s *Server) Stats() Stats {
	st := Stats{
		Connections: s.door.count(), Streams: s.streams.inUse(), Records: s.counts.records.Load(),
		Taken: s.counts.taken.Load(), Behind: s.counts.behind.Load(), Panics: s.counts.panics.Load(),
	}
	for i := range st.Refused {
		st.Refused[i] = s.counts.refused[i].Load()
	}
	for i := range st.Calls {
		st.Calls[i] = s.counts.calls[i].Load()
	}
	return st
}
