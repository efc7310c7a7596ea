package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"edgeloop/backbone/names"
	"edgeloop/backbone/servers"
)

// ErrCommandsFull says that CommandsPerDevice commands wait for the device, or CommandBytes
// for all devices.
var ErrCommandsFull = errors.New("backbone: too many commands are waiting")

// ErrDeviceCommandsFull is ErrCommandsFull of one device.
var ErrDeviceCommandsFull = fmt.Errorf("%w for this device", ErrCommandsFull)

// ErrTenantCommandsFull is ErrCommandsFull of one tenant: CommandConfig.Quota is used up, or its share
// of CommandBytes, which is three times what is free.
var ErrTenantCommandsFull = fmt.Errorf("%w for this tenant", ErrCommandsFull)

var errCommandID = errors.New("backbone: a command's id is 1 to 128 printable ASCII characters")

const (
	headerCommandID = "Edgeloop-Id"
	headerExpires   = "Edgeloop-Expires" // Unix milliseconds
	headerTTL       = "Nats-TTL"
	headerSize      = "Nats-Msg-Size" // of what a reader of headers alone is told
	headerMsgID     = "Nats-Msg-Id"
	codeStoreFailed = 10077 // a bound of the stream is reached, or the store failed
	maxCommandID    = 128
)

// CommandConfig bounds the commands that wait.
type CommandConfig struct {
	MaxAge    time.Duration // how long a command waits at most
	PerDevice int
	Bytes     int64 // of all, on disk
	// Quota is how many may wait for the devices of a tenant, 0 for any number; nil: any.
	Quota func(tenant string) int64
}

// Commands wait for their devices. Its methods may be called from any goroutine.
type Commands struct {
	// Immutable after construction.
	srv    *servers.Servers
	cfg    CommandConfig
	stream jetstream.Stream

	// With a lock of its own.
	set commandSet

	// Atomic.
	looked atomic.Int64 // when a tenant's commands were last counted anew, Unix milliseconds
}

// OpenCommands makes the stream and catches up with it.
func OpenCommands(ctx context.Context, srv *servers.Servers, cfg CommandConfig) (*Commands, error) {
	c := &Commands{srv: srv, cfg: cfg}
	var err error
	if c.stream, err = srv.Ensure(ctx, servers.Want{Stream: downStream(&cfg)}); err != nil {
		return nil, err
	}
	// A command does not wait longer than the stream keeps it.
	kept := c.stream.CachedInfo().Config
	if kept.MaxAge > 0 {
		c.cfg.MaxAge = min(c.cfg.MaxAge, kept.MaxAge)
	}
	c.cfg.Bytes = kept.MaxBytes
	return c, srv.StartWatch(ctx, c.watch())
}

// CommandDevices returns how many devices may have commands waiting.
func (c *Commands) CommandDevices() int { return c.set.len() }

// downStream keeps commands for devices that are away. When a device has too many, the
// stream refuses the newest: a command that an operator was told is waiting must not vanish.
func downStream(c *CommandConfig) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:                 names.StreamDown,
		Description:          "commands that wait for their device",
		Subjects:             []string{names.Down + ">"},
		Storage:              jetstream.FileStorage,
		MaxAge:               c.MaxAge,
		MaxBytes:             c.Bytes,
		MaxMsgsPerSubject:    int64(c.PerDevice),
		Discard:              jetstream.DiscardNew,
		DiscardNewPerSubject: true,
		Duplicates:           min(servers.DedupeWindow, c.MaxAge),
		AllowMsgTTL:          true,
		AllowDirect:          true,
	}
}

// StoreCommand stores a command for a device that is away. It is durable when StoreCommand
// returns nil. An id that is stored twice is kept once. ttl <= 0, or above CommandMaxAge,
// means CommandMaxAge. payload is borrowed until return.
//
// After ErrCommandsFull, also of the device or the tenant, or *servers.TooLargeError nothing is stored. After
// *servers.UnavailableError and other errors the outcome is unknown: the command may be
// stored and be given out. The same call may be repeated for as long as the store remembers
// the id.
func (c *Commands) StoreCommand(ctx context.Context, tenant, device, id string, payload []byte, ttl time.Duration) error {
	subject, err := names.Subject(names.Down, tenant, device)
	if err != nil {
		return err
	}
	if !validCommandID(id) {
		return errCommandID
	}
	if size, room := len(payload)+servers.RecordOverhead, c.srv.Asker.NC.MaxPayload(); int64(size) > room {
		return &servers.TooLargeError{Size: size, Max: int(room)}
	}
	if ttl <= 0 || ttl > c.cfg.MaxAge {
		ttl = c.cfg.MaxAge
	}
	claim, err := c.claim(ctx, tenant, subject, len(payload))
	if err != nil {
		return err
	}
	expires := time.Now().Add(ttl).UnixMilli()
	seq, err := c.srv.Put(ctx, names.StreamDown, &nats.Msg{
		Subject: subject,
		Data:    payload,
		Header: nats.Header{
			headerMsgID:     {subject + " " + id},
			headerCommandID: {id},
			headerExpires:   {strconv.FormatInt(expires, 10)},
			headerTTL:       {wholeSeconds(ttl)},
		},
	})
	if err != nil {
		claim.drop()
	}
	var api *jetstream.APIError
	if errors.As(err, &api) && api.ErrorCode == codeStoreFailed && servers.BoundReached(api.Description) {
		if api.Description == servers.PerSubject {
			return ErrDeviceCommandsFull
		}
		return fmt.Errorf("%w: %s", ErrCommandsFull, api.Description)
	}
	if err != nil {
		return fmt.Errorf("store command: %w", err)
	}
	c.set.stored(subject, seq, expires, claim)
	return nil
}

// HasCommands says whether commands may wait for a device, without asking the server. Its no
// is wrong only for as long as a command of another node takes to arrive here.
func (c *Commands) HasCommands(tenant, device string) bool {
	var buf [256]byte
	return c.set.has(names.AppendSubject(buf[:0], names.Down, tenant, device), time.Now().UnixMilli())
}

// TakeCommands calls fn with the commands that wait for a device, oldest first, until fits
// refuses one; more says that it did. A command that fits accepted is deleted from the
// store before fn gets it, and only the node whose deletion succeeded gives it out: at most
// once for each id, whatever ends in between. On an error the remaining commands wait for
// the next call; those whose deletion was not answered or not synced may be lost. fits
// borrows payload until it returns; its ownership passes to fn.
func (c *Commands) TakeCommands(ctx context.Context, tenant, device string, fits func(id string, payload []byte) bool, fn func(id string, payload []byte)) (more bool, err error) {
	subject, err := names.Subject(names.Down, tenant, device)
	if err != nil {
		return false, err
	}
	known := c.set.latest(subject)
	t := taking{c: c, subject: subject, next: 1, fits: fits}
	for {
		err := t.some(ctx)
		for _, m := range t.taken {
			if expires, _ := strconv.ParseInt(m.Header.Get(headerExpires), 10, 64); expires > time.Now().UnixMilli() {
				fn(m.Header.Get(headerCommandID), m.Data)
			}
		}
		switch {
		case err != nil:
			return t.more, fmt.Errorf("take commands: %w", c.srv.OrClosed(err))
		case t.more:
			return true, nil
		case t.next == 0:
			c.set.cleared(subject, known)
			return false, nil
		}
	}
}

// takeBytes is roughly how many bytes of commands are taken out of the store for one sync.
const takeBytes = 1 << 20

// taking is one call of TakeCommands.
type taking struct {
	c       *Commands
	subject string
	fits    func(id string, payload []byte) bool

	next  uint64                    // where to look; 0: there are no more
	more  bool                      // the next one had to wait
	taken []*jetstream.RawStreamMsg // by the last call of some
}

// some deletes commands. taken holds those that it did delete, also after an error.
func (t *taking) some(ctx context.Context) error {
	t.taken = t.taken[:0]
	size := 0
	end, err := t.c.walk(ctx, t.subject, t.next, func(m *jetstream.RawStreamMsg) (bool, error) {
		if t.more = !t.fits(m.Header.Get(headerCommandID), m.Data); t.more {
			return false, nil
		}
		t.next = m.Sequence + 1
		mine, err := t.c.deleteCommand(ctx, m.Sequence)
		if mine { // if not, another node took it, or its time came
			size += len(m.Data)
			t.c.set.took(t.subject, m.Sequence, len(m.Data))
			t.taken = append(t.taken, m)
		}
		return size < takeBytes, err
	})
	if end {
		t.next = 0
	}
	if len(t.taken) == 0 {
		return err
	}
	if failed := t.c.srv.SyncStream(names.StreamDown); failed != nil {
		// After a loss of power they may be in the store again: given out now, they
		// could be given out twice.
		n := len(t.taken)
		t.taken = t.taken[:0]
		return errors.Join(err, fmt.Errorf("%d commands were deleted and not delivered: %w", n, failed))
	}
	return err
}

// walk calls fn with the commands of a subject from a position on, oldest first, until fn wants no
// more or fails; end says that none is left. Expired ones may be among them.
func (c *Commands) walk(ctx context.Context, subject string, from uint64, fn func(*jetstream.RawStreamMsg) (more bool, err error)) (end bool, err error) {
	for more := true; more; {
		m, err := c.stream.GetMsg(ctx, from, jetstream.WithGetMsgSubject(subject))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		from = m.Sequence + 1
		if more, err = fn(m); err != nil {
			return false, err
		}
	}
	return false, nil
}

// deleteCommand deletes one command. It returns false if it was gone already.
func (c *Commands) deleteCommand(ctx context.Context, seq uint64) (bool, error) {
	err := c.stream.DeleteMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) {
		if _, gone := c.stream.GetMsg(ctx, seq); errors.Is(gone, jetstream.ErrMsgNotFound) {
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

// watch keeps the set of devices that may have commands.
func (c *Commands) watch() *servers.Watcher {
	return &servers.Watcher{
		Stream: names.StreamDown,
		Config: jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy, HeadersOnly: true},
		Each: func(m *servers.Delivery) {
			expires, _ := strconv.ParseInt(m.Header.Get(headerExpires), 10, 64)
			size, _ := strconv.Atoi(m.Header.Get(headerSize))
			c.set.heard(m.Subject, m.Position, expires, size)
		},
	}
}
