package servers

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/nats-io/nats-server/v2/server"
)

// An Outlet reads the messages of a stream of the server in this process from its store, as an
// Inlet writes them: what is saved is a consumer of the server, the text of the protocol made
// and read again, and three goroutines with the wakes between them, for each message
// (docs/decisions/0067). It leaves nothing at the server and needs no closing. One goroutine may
// use an Outlet.
type Outlet struct {
	// Immutable after construction.
	store server.StreamStore

	// Owned by the goroutine that reads.
	message server.StoreMsg // its memory is used again
}

// ErrNoMore says that a stream has nothing at or behind a position.
var ErrNoMore = errors.New("backbone: the stream has nothing behind this position")

// Outlet is the way out of a stream; only where Here is true. It ends with an error of Next when
// the store is opened anew: then there is another one. ErrDown while there is no server.
func (s *Servers) Outlet(stream string) (*Outlet, error) {
	srv := s.embedded.running()
	if srv == nil {
		return nil, ErrDown
	}
	mset, err := lookupStream(srv.GlobalAccount(), stream)
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", stream, err)
	}
	return &Outlet{store: storeOf(mset)}, nil
}

// Next gives the first message at or behind a position, whether or not it is durable. What the
// store cannot read it passes over, as for a consumer. data is borrowed until the next call.
// ErrNoMore: there is none.
func (o *Outlet) Next(from uint64) (position uint64, subject string, data []byte, err error) {
	// By its number first: the other way holds the lock that storing needs while a block is read.
	_, err = o.store.LoadMsg(from, &o.message)
	if err != nil && !errors.Is(err, server.ErrStoreClosed) {
		_, _, err = o.store.LoadNextMsg("", false, from, &o.message)
	}
	if errors.Is(err, server.ErrStoreEOF) {
		return 0, "", nil, ErrNoMore
	}
	if err != nil {
		return 0, "", nil, fmt.Errorf("read a stream at %d: %w", from, err)
	}
	m := (*storeMessageFields)(unsafe.Pointer(&o.message))
	return m.seq, m.subj, m.msg, nil
}

// storeMessageFields is server.StoreMsg, whose fields are not exported.
type storeMessageFields struct {
	subj string
	hdr  []byte
	msg  []byte
	buf  []byte
	seq  uint64
	ts   int64
}

//go:linkname storeOf github.com/nats-io/nats-server/v2/server.(*stream).Store
func storeOf(mset unsafe.Pointer) server.StreamStore
