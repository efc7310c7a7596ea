package servers

import (
	"fmt"
	"slices"
	"unsafe"

	"github.com/nats-io/nats-server/v2/server"
)

// An Inlet stores messages in a stream of the server in this process by calling what
// the server itself calls for a message that came over a connection. What is saved is
// the connection: the text of the protocol made and read again, headers, three
// goroutines and the wakes between them, which is more than the storing takes
// (docs/decisions/0035).
//
// The server does not export those functions, so they are linked by name, and
// TestInlet_SignaturesOfTheServer compares what is declared here with the source of the
// version in go.mod. One goroutine may use an Inlet.
type Inlet struct {
	// Immutable after construction.
	from *embedded
	name string

	// Owned by the goroutine that stores.
	stream unsafe.Pointer // *server.stream, as Open found it
}

// Inlet is the way into a stream; only where Here is true.
func (s *Servers) Inlet(stream string) *Inlet { return &Inlet{from: s.embedded, name: stream} }

// Open finds the stream, which is another one after each Restart, and says what its
// last sequence is. ErrDown while there is no server.
func (i *Inlet) Open() (last uint64, err error) {
	srv := i.from.running()
	if srv == nil {
		return 0, ErrDown
	}
	if i.stream, err = lookupStream(srv.GlobalAccount(), i.name); err != nil {
		return 0, fmt.Errorf("stream %s: %w", i.name, err)
	}
	return lastSequence(i.stream), nil
}

// Store has the server write one message to its file, and says what the last sequence
// of the stream is then: the server may take a message, and drop it without an error.
// It copies subject and data. After an error that is not ErrFull the store may take
// nothing more until it is opened anew.
func (i *Inlet) Store(subject string, data []byte) (last uint64, err error) {
	// The server keeps the subject for the consumers it wakes.
	err = storeMessage(i.stream, string([]byte(subject)), "", nil, data, 0, 0, nil, false, true)
	if slices.Contains(bounds[:], err) {
		err = fmt.Errorf("%w: %w", ErrFull, err)
	}
	return lastSequence(i.stream), err
}

//go:linkname lookupStream github.com/nats-io/nats-server/v2/server.(*Account).lookupStream
func lookupStream(a *server.Account, name string) (unsafe.Pointer, error)

//go:linkname lastSequence github.com/nats-io/nats-server/v2/server.(*stream).lastSeq
func lastSequence(mset unsafe.Pointer) uint64

// storeMessage with lseq, ts and mt zero is for a message that comes from a client; it
// answers nobody where reply is empty.
//
//go:linkname storeMessage github.com/nats-io/nats-server/v2/server.(*stream).processJetStreamMsg
func storeMessage(mset unsafe.Pointer, subject, reply string, hdr, msg []byte, lseq uint64, ts int64, mt unsafe.Pointer, sourced, needIsolation bool) error
