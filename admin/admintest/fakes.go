package admintest

import (
	"context"
	"io"
	"net/netip"
	"time"

	"edgeloop/admin"
	"edgeloop/admin/api"
)

// Node fakes admin.Node.
type Node struct {
	StatusFunc func() api.Node
	ReadyFunc  func() []api.Reason
	WarnFunc   func() []api.Reason
	DrainFunc  func(window time.Duration) error
	ReloadFunc func() (api.Reloaded, error)
}

// Status calls StatusFunc; without one it is a running node called "test".
func (f *Node) Status() api.Node {
	if f.StatusFunc == nil {
		return api.Node{Name: "test", Version: "0.0.0", State: api.NodeRunning, Started: time.Now()}
	}
	return f.StatusFunc()
}

// Ready calls ReadyFunc; without one the node is ready.
func (f *Node) Ready() []api.Reason {
	if f.ReadyFunc == nil {
		return nil
	}
	return f.ReadyFunc()
}

// Warnings calls WarnFunc; without one there is nothing to warn of.
func (f *Node) Warnings() []api.Reason {
	if f.WarnFunc == nil {
		return nil
	}
	return f.WarnFunc()
}

// Reload calls ReloadFunc; without one nothing has changed.
func (f *Node) Reload(context.Context) (api.Reloaded, error) {
	if f.ReloadFunc == nil {
		return api.Reloaded{Changed: []string{}, Kept: []string{}, Fixed: []string{}}, nil
	}
	return f.ReloadFunc()
}

// Drain calls DrainFunc.
func (f *Node) Drain(window time.Duration) error {
	if f.DrainFunc == nil {
		return nil
	}
	return f.DrainFunc(window)
}

// Devices fakes admin.Devices.
type Devices struct {
	DevicesFunc func(q api.DeviceQuery) (api.DevicePage, error)
	DeviceFunc  func(tenant, device string) (api.Device, bool)
	KickFunc    func(tenant, device string, code uint16, reason string) error
	ResetFunc   func(ctx context.Context, tenant, device string) (api.Reset, error)
}

// Devices calls DevicesFunc; without one there are none.
func (f *Devices) Devices(q api.DeviceQuery) (api.DevicePage, error) {
	if f.DevicesFunc == nil {
		return api.DevicePage{}, nil
	}
	return f.DevicesFunc(q)
}

// Device calls DeviceFunc; without one no device is known.
func (f *Devices) Device(_ context.Context, tenant, device string) (api.Device, error) {
	if f.DeviceFunc != nil {
		if d, ok := f.DeviceFunc(tenant, device); ok {
			return d, nil
		}
	}
	return api.Device{}, api.ErrUnknownDevice
}

// Reset calls ResetFunc; without one no device is known.
func (f *Devices) Reset(ctx context.Context, tenant, device string) (api.Reset, error) {
	if f.ResetFunc == nil {
		return api.Reset{}, api.ErrUnknownDevice
	}
	return f.ResetFunc(ctx, tenant, device)
}

// Kick calls KickFunc; without one no device is known.
func (f *Devices) Kick(tenant, device string, code uint16, reason string) error {
	if f.KickFunc == nil {
		return api.ErrUnknownDevice
	}
	return f.KickFunc(tenant, device, code, reason)
}

// Commands fakes admin.Commands.
type Commands struct {
	CommandFunc   func(ctx context.Context, c api.Command) (api.CommandResult, error)
	BroadcastFunc func(ctx context.Context, b api.Broadcast) (api.BroadcastResult, error)
	WaitingFunc   func(tenant, device string) []api.WaitingCommand
	CancelFunc    func(tenant, device, id string) int
}

// WaitingCommands calls WaitingFunc; without one nothing waits.
func (f *Commands) WaitingCommands(_ context.Context, tenant, device string) ([]api.WaitingCommand, error) {
	if f.WaitingFunc == nil {
		return nil, nil
	}
	return f.WaitingFunc(tenant, device), nil
}

// CancelCommands calls CancelFunc; without one nothing waits.
func (f *Commands) CancelCommands(_ context.Context, tenant, device, id string) (int, error) {
	if f.CancelFunc == nil {
		return 0, nil
	}
	return f.CancelFunc(tenant, device, id), nil
}

// Command calls CommandFunc; without one no device is known.
func (f *Commands) Command(ctx context.Context, c api.Command) (api.CommandResult, error) {
	if f.CommandFunc == nil {
		return api.CommandResult{}, api.ErrUnknownDevice
	}
	return f.CommandFunc(ctx, c)
}

// Broadcast calls BroadcastFunc; without one nobody is reached.
func (f *Commands) Broadcast(ctx context.Context, b api.Broadcast) (api.BroadcastResult, error) {
	if f.BroadcastFunc == nil {
		return api.BroadcastResult{ID: "0"}, nil
	}
	return f.BroadcastFunc(ctx, b)
}

// Bans fakes admin.Bans.
type Bans struct {
	BanFunc   func(ctx context.Context, b api.Ban) (created bool, err error)
	UnbanFunc func(ctx context.Context, tenant, device string) (bool, error)
	BanOfFunc func(tenant, device string) (api.Ban, bool)
	BansFunc  func(tenant string) []api.Ban

	AddressBansFunc  func() []api.AddressBan
	UnbanAddressFunc func(addr netip.Addr) bool
}

// Ban calls BanFunc; without one every ban is new.
func (f *Bans) Ban(ctx context.Context, b api.Ban) (created bool, err error) {
	if f.BanFunc == nil {
		return true, nil
	}
	return f.BanFunc(ctx, b)
}

// Unban calls UnbanFunc; without one there was no ban.
func (f *Bans) Unban(ctx context.Context, tenant, device string) (bool, error) {
	if f.UnbanFunc == nil {
		return false, nil
	}
	return f.UnbanFunc(ctx, tenant, device)
}

// BanOf calls BanOfFunc; without one there is no ban.
func (f *Bans) BanOf(tenant, device string) (api.Ban, bool) {
	if f.BanOfFunc == nil {
		return api.Ban{}, false
	}
	return f.BanOfFunc(tenant, device)
}

// Bans calls BansFunc; without one there are none.
func (f *Bans) Bans(tenant string) []api.Ban {
	if f.BansFunc == nil {
		return nil
	}
	return f.BansFunc(tenant)
}

// AddressBans calls AddressBansFunc; without one there are none.
func (f *Bans) AddressBans() []api.AddressBan {
	if f.AddressBansFunc == nil {
		return nil
	}
	return f.AddressBansFunc()
}

// UnbanAddress calls UnbanAddressFunc; without one there was no ban.
func (f *Bans) UnbanAddress(addr netip.Addr) bool {
	return f.UnbanAddressFunc != nil && f.UnbanAddressFunc(addr)
}

// Revocations fakes admin.Revocations.
type Revocations struct {
	RevokeFunc         func(ctx context.Context, r api.Revocation) (api.Revocation, error)
	LiftRevocationFunc func(ctx context.Context, tenant, id string) (bool, error)
	RevocationsFunc    func(tenant string) []api.Revocation
}

// Revoke calls RevokeFunc; without one it is done.
func (f *Revocations) Revoke(ctx context.Context, r api.Revocation) (api.Revocation, error) {
	if f.RevokeFunc == nil {
		return r, nil
	}
	return f.RevokeFunc(ctx, r)
}

// LiftRevocation calls LiftRevocationFunc; without one there was none.
func (f *Revocations) LiftRevocation(ctx context.Context, tenant, id string) (bool, error) {
	if f.LiftRevocationFunc == nil {
		return false, nil
	}
	return f.LiftRevocationFunc(ctx, tenant, id)
}

// Revocations calls RevocationsFunc; without one there are none.
func (f *Revocations) Revocations(tenant string) []api.Revocation {
	if f.RevocationsFunc == nil {
		return nil
	}
	return f.RevocationsFunc(tenant)
}

// Limits fakes admin.Limits.
type Limits struct {
	LimitsFunc    func() []api.Limit
	SetLimitsFunc func(values map[string]*int64) error
	TenantFunc    func(tenant string) api.Tenant
	SetTenantFunc func(tenant string, values map[string]*int64) error
}

// Limits calls LimitsFunc; without one there are none.
func (f *Limits) Limits() []api.Limit {
	if f.LimitsFunc == nil {
		return []api.Limit{}
	}
	return f.LimitsFunc()
}

// Tenant calls TenantFunc; without one the tenant has no limits.
func (f *Limits) Tenant(tenant string) api.Tenant {
	if f.TenantFunc == nil {
		return api.Tenant{Tenant: tenant, Limits: []api.Limit{}}
	}
	return f.TenantFunc(tenant)
}

// SetTenant calls SetTenantFunc.
func (f *Limits) SetTenant(_ context.Context, tenant string, values map[string]*int64) error {
	if f.SetTenantFunc == nil {
		return nil
	}
	return f.SetTenantFunc(tenant, values)
}

// SetLimits calls SetLimitsFunc.
func (f *Limits) SetLimits(_ context.Context, values map[string]*int64) error {
	if f.SetLimitsFunc == nil {
		return nil
	}
	return f.SetLimitsFunc(values)
}

// Log fakes admin.Log.
type Log struct {
	ID         string
	BackupFunc func(w io.Writer) error
	TrimFunc   func(t api.LogTrim) (api.LogTrimmed, error)

	ReadersFunc func(tenant string) ([]api.Reader, error)
	ForgetFunc  func(tenant, name string) (bool, error)

	TailFunc func(ctx context.Context, q api.TailQuery, fn func(position uint64, line []byte) error) error
}

// Identity is ID.
func (f *Log) Identity() string { return f.ID }

// Tail calls TailFunc; without one the log is empty.
func (f *Log) Tail(ctx context.Context, q api.TailQuery, fn func(position uint64, line []byte) error) error {
	if f.TailFunc == nil {
		if q.Follow {
			<-ctx.Done()
		}
		return ctx.Err()
	}
	return f.TailFunc(ctx, q, fn)
}

// Backup calls BackupFunc; without one it is a few bytes.
func (f *Log) Backup(_ context.Context, w io.Writer) error {
	if f.BackupFunc == nil {
		_, err := io.WriteString(w, "backup")
		return err
	}
	return f.BackupFunc(w)
}

// Readers calls ReadersFunc; without one there is none.
func (f *Log) Readers(_ context.Context, tenant string) ([]api.Reader, error) {
	if f.ReadersFunc == nil {
		return nil, nil
	}
	return f.ReadersFunc(tenant)
}

// ForgetReader calls ForgetFunc; without one there is none.
func (f *Log) ForgetReader(_ context.Context, tenant, name string) (bool, error) {
	if f.ForgetFunc == nil {
		return false, nil
	}
	return f.ForgetFunc(tenant, name)
}

// Trim calls TrimFunc; without one nothing is removed.
func (f *Log) Trim(_ context.Context, t api.LogTrim) (api.LogTrimmed, error) {
	if f.TrimFunc == nil {
		return api.LogTrimmed{First: "x-1"}, nil
	}
	return f.TrimFunc(t)
}

// Interface guards.
var (
	_ admin.Node     = (*Node)(nil)
	_ admin.Devices  = (*Devices)(nil)
	_ admin.Commands = (*Commands)(nil)
	_ admin.Bans     = (*Bans)(nil)

	_ admin.Revocations = (*Revocations)(nil)

	_ admin.Limits = (*Limits)(nil)
	_ admin.Log    = (*Log)(nil)
)

// Sinks fakes admin.Sinks.
type Sinks struct {
	SinksFunc       func() []api.Sink
	ChangeFunc      func(ctx context.Context, c api.SinkChange) error
	DeadLettersFunc func(ctx context.Context, sink string, after uint64, limit int) (api.DeadLetterPage, error)
	RemoveFunc      func(ctx context.Context, sink string, number uint64) (bool, error)
	RemoveAllFunc   func(ctx context.Context, sink string, which api.LetterFilter) (int, error)
}

// Sinks calls SinksFunc; without one there are none.
func (f *Sinks) Sinks() []api.Sink {
	if f.SinksFunc == nil {
		return nil
	}
	return f.SinksFunc()
}

// ChangeSink calls ChangeFunc; without one there is no sink.
func (f *Sinks) ChangeSink(ctx context.Context, c api.SinkChange) error {
	if f.ChangeFunc == nil {
		return api.ErrUnknownSink
	}
	return f.ChangeFunc(ctx, c)
}

// DeadLetters calls DeadLettersFunc; without one there is no sink.
func (f *Sinks) DeadLetters(ctx context.Context, sink string, after uint64, limit int) (api.DeadLetterPage, error) {
	if f.DeadLettersFunc == nil {
		return api.DeadLetterPage{}, api.ErrUnknownSink
	}
	return f.DeadLettersFunc(ctx, sink, after, limit)
}

// RemoveDeadLetter calls RemoveFunc; without one there is no sink.
func (f *Sinks) RemoveDeadLetter(ctx context.Context, sink string, number uint64) (bool, error) {
	if f.RemoveFunc == nil {
		return false, api.ErrUnknownSink
	}
	return f.RemoveFunc(ctx, sink, number)
}

// RemoveDeadLetters calls RemoveAllFunc; without one there is no sink.
func (f *Sinks) RemoveDeadLetters(ctx context.Context, sink string, which api.LetterFilter) (int, error) {
	if f.RemoveAllFunc == nil {
		return 0, api.ErrUnknownSink
	}
	return f.RemoveAllFunc(ctx, sink, which)
}
