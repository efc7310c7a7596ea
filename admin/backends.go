package admin

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"time"

	"edgeloop/admin/api"
)

// The interfaces below are all that admin knows of a node. Their method names
// differ, so that one type may implement several. Every method may be called
// from many goroutines at once; those without a context must not block.

// Node is the node as a whole.
type Node interface {
	// Status is a snapshot. Uptime, Limits, NotReady and Warnings are left empty.
	Status() api.Node
	// Ready lists why the node should get no new devices; empty when it should.
	Ready() []api.Reason
	// Warnings lists what will keep the node from being ready if nobody does anything.
	Warnings() []api.Reason
	// Reload reads keys, tokens and settings again: all that may change does, or
	// nothing, and then it is a *api.FieldError.
	Reload(ctx context.Context) (api.Reloaded, error)
	// Drain starts a drain, its closes spread over window (0: the node's own),
	// and returns at once. A second call changes nothing and is no error.
	Drain(window time.Duration) error
}

// Devices is who is here.
type Devices interface {
	// Devices is one page, ordered by tenant and name; q.Limit is in 1..MaxPage.
	// An After that no page ever gave is a *api.FieldError.
	Devices(q api.DeviceQuery) (api.DevicePage, error)
	// Device finds a device that is live or remembered, or that the log has something
	// of; api.ErrUnknownDevice.
	Device(ctx context.Context, tenant, device string) (api.Device, error)
	// Kick closes the device's connection with a code that is valid on the wire
	// and a reason of at most api.MaxReason bytes. ErrUnknownDevice, ErrNotConnected.
	Kick(tenant, device string, code uint16, reason string) error
	// Reset has the sequences of the device begin again, and sends it away if it is
	// connected. ErrUnknownDevice, ErrBusy while another reset is under way,
	// ErrUnavailable, ErrDraining.
	Reset(ctx context.Context, tenant, device string) (api.Reset, error)
}

// Commands go down to devices.
type Commands interface {
	// Command sends one command and waits up to c.Wait for the reply, less when
	// ctx ends. ErrUnknownDevice for a device never seen when c.TTL is 0; ErrNotConnected with c.Now; ErrBusy,
	// ErrUnavailable, ErrDraining; *api.FieldError for a ttl or data out of bounds.
	// c.Data belongs to the callee.
	Command(ctx context.Context, c api.Command) (api.CommandResult, error)
	// WaitingCommands lists what waits for a device, oldest first.
	WaitingCommands(ctx context.Context, tenant, device string) ([]api.WaitingCommand, error)
	// CancelCommands takes back the command of that id, or all for "", and says how many
	// that were.
	CancelCommands(ctx context.Context, tenant, device, id string) (int, error)
	// Broadcast hands one command to every connected device that is selected and
	// waits for no reply. Exactly one of All, Tenant (with or without Group) is set.
	Broadcast(ctx context.Context, b api.Broadcast) (api.BroadcastResult, error)
}

// Bans is who must stay out.
type Bans interface {
	// Ban sets or replaces a ban, keeps it durably, and closes the device's
	// connection with 4403 if there is one. created is false when it replaced one.
	Ban(ctx context.Context, b api.Ban) (created bool, err error)
	// Unban lifts a ban; false when there was none.
	Unban(ctx context.Context, tenant, device string) (bool, error)
	// BanOf finds the ban of a device; an expired one is not found.
	BanOf(tenant, device string) (api.Ban, bool)
	// Bans lists the bans of a tenant, of all when it is empty, in any order.
	// The slice belongs to the caller.
	Bans(tenant string) []api.Ban
	// AddressBans lists the addresses that are kept out for a while, in any order. The
	// slice belongs to the caller.
	AddressBans() []api.AddressBan
	// UnbanAddress lets an address in again; false when it was not kept out.
	UnbanAddress(addr netip.Addr) bool
}

// Revocations are the tokens that are taken back.
type Revocations interface {
	// Revoke stores a revocation, whose ID is not set, durably, and has the connections of
	// its tokens closed with 4401, on every node. It returns what is in force.
	Revoke(ctx context.Context, r api.Revocation) (api.Revocation, error)
	// LiftRevocation ends one of a tenant, of any when it is empty; false when there was
	// none.
	LiftRevocation(ctx context.Context, tenant, id string) (bool, error)
	// Revocations lists those of a tenant, all when it is empty, by ID. The slice belongs
	// to the caller.
	Revocations(tenant string) []api.Revocation
}

// Limits are the bounds of the node, and of its tenants.
type Limits interface {
	// Limits lists every limit in a fixed order.
	Limits() []api.Limit
	// SetLimits changes all the named limits or none; nil takes back what it has
	// changed before. admin has checked that each is known, changeable and in its
	// range; what only the node can judge (a
	// heartbeat longer than the idle timeout) is a *api.FieldError.
	SetLimits(ctx context.Context, values map[string]*int64) error
	// Tenant is what a tenant may use, also of one that was never seen.
	Tenant(tenant string) api.Tenant
	// SetTenant is SetLimits for the limits of a tenant.
	SetTenant(ctx context.Context, tenant string, values map[string]*int64) error
}

// Log is the durable log, read back.
type Log interface {
	// Identity tells this log from others; it has letters a to z and digits only.
	// "": it has none.
	Identity() string
	// Tail calls fn for each record in the order of the log, with its position
	// (0 where that is not known) and one JSON object without a line break,
	// borrowed until fn returns. Positions grow, and q.After takes one, with q.Log for the log's identity where
	// that is known. A reading of
	// what is new (q.New) calls fn first without a line, with the position behind
	// which it begins. fn may hold the caller up for as long as
	// Config.TailStall, so Tail must read from the log at fn's pace and never be
	// fed by a path that others wait for. It returns when ctx ends, when fn
	// returns an error (that error), or, without Follow, after the last record.
	Tail(ctx context.Context, q api.TailQuery, fn func(position uint64, line []byte) error) error
	// Backup writes a backup at w's pace. What it cannot begin is an error before anything
	// was written (ErrUnavailable); later the backup itself says that it failed.
	Backup(ctx context.Context, w io.Writer) error
	// Readers are those that have a place, of a tenant, or "" for all; sinks are none.
	Readers(ctx context.Context, tenant string) ([]api.Reader, error)
	// ForgetReader forgets the place of one, whose call of Log.Read ends; false: it has none.
	ForgetReader(ctx context.Context, tenant, name string) (bool, error)
	// Trim removes the oldest records. A *api.FieldError names "to" for a position of
	// another log, "past_sinks" or "forget_devices" where it would have to take more
	// than it was told to.
	Trim(ctx context.Context, t api.LogTrim) (api.LogTrimmed, error)
}

// Sinks are the ways out of the log.
type Sinks interface {
	// Sinks lists them in the order of the configuration.
	Sinks() []api.Sink
	// ChangeSink does what c says. api.ErrUnknownSink; a *api.FieldError names "to" or
	// "position", or "sink" for one that is not in the state for it.
	ChangeSink(ctx context.Context, c api.SinkChange) error
	// DeadLetters is one page of those with a number above after; api.ErrUnknownSink.
	DeadLetters(ctx context.Context, sink string, after uint64, limit int) (api.DeadLetterPage, error)
	// RemoveDeadLetter removes one; false: there is none. api.ErrUnknownSink.
	RemoveDeadLetter(ctx context.Context, sink string, number uint64) (bool, error)
	// RemoveDeadLetters removes those that are meant, and says how many; api.ErrUnknownSink.
	RemoveDeadLetters(ctx context.Context, sink string, which api.LetterFilter) (int, error)
}

// Backends is the node behind the API; every field is needed.
type Backends struct {
	Node     Node
	Devices  Devices
	Commands Commands
	Bans     Bans
	Revoked  Revocations
	Limits   Limits
	Log      Log
	Sinks    Sinks
}

func (b Backends) check() error {
	if b.Node == nil || b.Devices == nil || b.Commands == nil || b.Bans == nil || b.Revoked == nil || b.Limits == nil || b.Log == nil || b.Sinks == nil {
		return errors.New("admin: a backend is missing")
	}
	return nil
}
