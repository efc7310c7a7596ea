package fleet

// state is where a connection is in its life.
type state uint8

const (
	idle       state = iota // no socket
	connecting              // connect under way
	upgrading               // request written, no answer yet
	open                    // 101 came; messages may flow once it is ready
	closing                 // a close frame was seen or sent; the node ends TCP
)

// conn is one device. All of it is owned by its loop. It is kept small: a
// million of them must fit beside the node they test.
type conn struct {
	fd      int32
	state   state
	want    bool    // it shall be connected: dial again when it ends
	ready   bool    // registered: it may send
	stalled bool    // by order: reads nothing
	ordered bool    // by order: its end is counted as Dropped
	failed  uint8   // attempts in a row that came to nothing
	window  uint16  // messages in flight that the node allows; 0 = it did not say
	tries   uint32  // attempts ever; makes each key new
	spoke   uint32  // second of the last write, for heartbeats
	since   int64   // when the state was entered, Unix nanoseconds
	gone    int64   // when it was registered last, if it shall be and is not; else 0
	heard   uint64  // highest broadcast number
	work    *work   // nil until the first load
	secure  *secure // nil without TLS, and without a socket
	spill   *spill  // nil while nothing is kept
}

// work is what a device needs once it carries traffic.
type work struct {
	load     *load
	echo     echoes
	tele     acks
	progress int64             // when the last answer came, or the first message after silence left
	heard    map[uint64]uint64 // the highest number of each publisher; nil: it has heard of none
}

// spill keeps bytes between two events: a frame that arrived in part, frames
// that the kernel did not take, fragments of a message.
type spill struct {
	in, out, message []byte
	fragmented       bool
}

func (s *spill) empty() bool {
	return len(s.in) == 0 && len(s.out) == 0 && !s.fragmented
}
