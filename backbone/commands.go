package backbone

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ErrCommandsFull says that CommandsPerDevice commands wait for the device, or
// that CommandBytes are waiting in all.
var ErrCommandsFull = errors.New("backbone: too many commands are waiting")

var errCommandID = errors.New("backbone: a command's id is 1 to 128 printable ASCII characters")

const (
	headerCommandID = "Edgeloop-Id"
	headerExpires   = "Edgeloop-Expires" // Unix milliseconds
	headerTTL       = "Nats-TTL"
	codeStoreFailed = 10077 // a bound of the stream is reached, or the store failed
	maxCommandID    = 128
)

// downStream keeps commands for devices that are away. A device with too many
// refuses the newest: what the operator was told is waiting must not vanish.
func downStream(c *Config) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:                 StreamDown,
		Description:          "commands that wait for their device",
		Subjects:             []string{downPrefix + ">"},
		Storage:              jetstream.FileStorage,
		MaxAge:               c.CommandMaxAge,
		MaxBytes:             c.CommandBytes,
		MaxMsgsPerSubject:    int64(c.CommandsPerDevice),
		Discard:              jetstream.DiscardNew,
		DiscardNewPerSubject: true,
		Duplicates:           min(dedupeWindow, c.CommandMaxAge),
		AllowMsgTTL:          true,
		AllowDirect:          true,
	}
}

// StoreCommand leaves a command for a device that is away. It is durable when
// StoreCommand returns nil. Storing an id twice stores it once. ttl <= 0, or
// above CommandMaxAge, means CommandMaxAge. payload is borrowed until return.
// Errors: ErrCommandsFull and *TooLargeError, and nothing is stored; *UnavailableError and others, after
// which the outcome is unknown: the command may be stored and be given out. The same
// call may be repeated, as long as the store remembers the id.
func (b *Backbone) StoreCommand(ctx context.Context, tenant, device, id string, payload []byte, ttl time.Duration) error {
	subject, err := subjectOf(downPrefix, tenant, device)
	if err != nil {
		return err
	}
	if !validCommandID(id) {
		return errCommandID
	}
	if size, room := len(payload)+recordOverhead, b.asker.nc.MaxPayload(); int64(size) > room {
		return &TooLargeError{Size: size, Max: int(room)}
	}
	if ttl <= 0 || ttl > b.cfg.CommandMaxAge {
		ttl = b.cfg.CommandMaxAge
	}
	expires := time.Now().Add(ttl).UnixMilli()
	seq, err := b.storeSmall(ctx, StreamDown, &nats.Msg{
		Subject: subject,
		Data:    payload,
		Header: nats.Header{
			headerMsgID:     {subject + " " + id},
			headerCommandID: {id},
			headerExpires:   {strconv.FormatInt(expires, 10)},
			headerTTL:       {wholeSeconds(ttl)},
		},
	})
	var api *jetstream.APIError
	if errors.As(err, &api) && api.ErrorCode == codeStoreFailed && slices.Contains(boundsReached(), api.Description) {
		return fmt.Errorf("%w: %s", ErrCommandsFull, api.Description)
	}
	if err != nil {
		return fmt.Errorf("store command: %w", err)
	}
	b.commands.add(subject, seq, expires)
	return nil
}

// boundsReached are the server's words for a stream that takes no more.
func boundsReached() []string {
	return []string{
		server.ErrMaxMsgsPerSubject.Error(), server.ErrMaxBytes.Error(), server.ErrMaxMsgs.Error(),
	}
}

// HasCommands says whether commands may wait for a device, without asking the
// server. It is never wrong when it says no for longer than another node's
// command takes to arrive here.
func (b *Backbone) HasCommands(tenant, device string) bool {
	var buf [256]byte
	return b.commands.has(appendSubject(buf[:0], downPrefix, tenant, device), time.Now().UnixMilli())
}

// TakeCommands gives fn the commands that wait for a device, oldest first, until
// fits says of one that it must wait; more says that it did. What fits has let pass
// is deleted from the store before fn gets it, and only the node whose deletion took
// gives it out: at most once for each id, whatever ends in between. On an error the
// others wait for the next call, but for those whose deletion was not answered or
// not synced: they may be lost. payload is borrowed by fits, and fn's to keep.
func (b *Backbone) TakeCommands(ctx context.Context, tenant, device string, fits func(id string, payload []byte) bool, fn func(id string, payload []byte)) (more bool, err error) {
	subject, err := subjectOf(downPrefix, tenant, device)
	if err != nil {
		return false, err
	}
	known := b.commands.latest(subject)
	t := taking{b: b, subject: subject, next: 1, fits: fits}
	for {
		err := t.some(ctx)
		for _, m := range t.taken {
			if expires, _ := strconv.ParseInt(m.Header.Get(headerExpires), 10, 64); expires > time.Now().UnixMilli() {
				fn(m.Header.Get(headerCommandID), m.Data)
			}
		}
		switch {
		case err != nil:
			return t.more, fmt.Errorf("take commands: %w", b.orClosed(err))
		case t.more:
			return true, nil
		case t.next == 0:
			b.commands.drained(subject, known)
			return false, nil
		}
	}
}

// takeBytes is about how many bytes of commands are taken out of the store at
// once, for one sync.
const takeBytes = mib

// taking is one call of TakeCommands.
type taking struct {
	b       *Backbone
	subject string
	fits    func(id string, payload []byte) bool

	next  uint64                    // where to look; 0: there are no more
	more  bool                      // the next one had to wait
	taken []*jetstream.RawStreamMsg // by the last call of some
}

// some deletes commands; taken are those that were there, also with an error.
func (t *taking) some(ctx context.Context) (err error) {
	t.taken = t.taken[:0]
	for size := 0; size < takeBytes && err == nil; {
		var m *jetstream.RawStreamMsg
		m, err = t.b.down.GetMsg(ctx, t.next, jetstream.WithGetMsgSubject(t.subject))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			t.next, err = 0, nil
			break
		}
		if err != nil {
			break
		}
		if t.more = !t.fits(m.Header.Get(headerCommandID), m.Data); t.more {
			break
		}
		t.next = m.Sequence + 1
		var mine bool
		if mine, err = t.b.deleteCommand(ctx, m.Sequence); mine { // if not, another node took it, or its time came
			size += len(m.Data)
			t.taken = append(t.taken, m)
		}
	}
	if len(t.taken) == 0 {
		return err
	}
	if failed := t.b.syncStream(StreamDown); failed != nil {
		// After a loss of power they may be there again: given out now, they could
		// be given out twice.
		n := len(t.taken)
		t.taken = t.taken[:0]
		return errors.Join(err, fmt.Errorf("%d commands were deleted and not given out: %w", n, failed))
	}
	return err
}

// deleteCommand deletes one command; false when it was gone already.
func (b *Backbone) deleteCommand(ctx context.Context, seq uint64) (bool, error) {
	err := b.down.DeleteMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) {
		if _, gone := b.down.GetMsg(ctx, seq); errors.Is(gone, jetstream.ErrMsgNotFound) {
			return false, nil
		}
	}
	return err == nil, err
}

func validCommandID(id string) bool {
	if id == "" || len(id) > maxCommandID {
		return false
	}
	for i := 0; i < len(id); i++ {
		if id[i] <= ' ' || id[i] > '~' {
			return false
		}
	}
	return true
}

func wholeSeconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10) + "s"
}

// watchCommands keeps the local set of devices that may have commands.
func (b *Backbone) watchCommands() *watcher {
	return &watcher{
		conn:   b.reader,
		stream: StreamDown,
		config: jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy, HeadersOnly: true},
		each: func(m *delivery) {
			expires, _ := strconv.ParseInt(m.Header.Get(headerExpires), 10, 64)
			b.commands.add(m.Subject, m.position, expires)
		},
		log: b.cfg.Logger,
	}
}

// commandSet is the set of devices for which commands may wait, 32 bytes and
// the map's share for each. Entries go when the device took its commands, or
// when the last of them has expired.
type commandSet struct {
	mu sync.RWMutex
	// Guarded by mu.
	waiting map[subjectKey]waitingCommand
	sweepAt int // size at which the expired are removed next
}

// subjectKey is the front half of a SHA-256: no two subjects share one.
type subjectKey [16]byte

type waitingCommand struct {
	seq     uint64 // of the newest, in the stream
	expires int64  // of the one that lives longest, Unix milliseconds
}

const firstSweep = 1024

func keyOf[S string | []byte](subject S) subjectKey {
	h := sha256.Sum256([]byte(subject))
	return subjectKey(h[:16])
}

func (s *commandSet) add(subject string, seq uint64, expires int64) {
	k := keyOf(subject)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting == nil {
		s.waiting, s.sweepAt = make(map[subjectKey]waitingCommand), firstSweep
	}
	w := s.waiting[k]
	s.waiting[k] = waitingCommand{max(w.seq, seq), max(w.expires, expires)}
	if len(s.waiting) >= s.sweepAt {
		s.sweepLocked(time.Now().UnixMilli())
	}
}

func (s *commandSet) sweepLocked(now int64) {
	for k, w := range s.waiting {
		if w.expires <= now {
			delete(s.waiting, k)
		}
	}
	s.sweepAt = max(firstSweep, 2*len(s.waiting))
}

func (s *commandSet) has(subject []byte, now int64) bool {
	k := keyOf(subject)
	s.mu.RLock()
	defer s.mu.RUnlock()
	w, ok := s.waiting[k]
	return ok && w.expires > now
}

func (s *commandSet) latest(subject string) uint64 {
	k := keyOf(subject)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.waiting[k].seq
}

// drained notes that all commands up to seq are gone; one stored since stays.
func (s *commandSet) drained(subject string, seq uint64) {
	k := keyOf(subject)
	s.mu.Lock()
	defer s.mu.Unlock()
	if w, ok := s.waiting[k]; ok && w.seq <= seq {
		delete(s.waiting, k)
	}
}

func (s *commandSet) len() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.waiting)
}
