package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"edgeloop/admin"
	"edgeloop/admin/api"
	"edgeloop/auth"
	"edgeloop/backbone"
	"edgeloop/devicemgr"
	"edgeloop/gateway"
)

// startAdmin starts the admin API over the parts built so far, in place of the early server.
func (n *node) startAdmin(ctx context.Context) (stopFunc, error) {
	cfg, err := n.adminConfig()
	if err != nil {
		return nil, err
	}
	cfg.Sources = n.metricSources()
	cfg.Overload = &n.ladder
	if cfg.Listener, err = n.early.HandOver(); err != nil {
		return nil, err
	}
	n.admin, err = admin.New(cfg, admin.Backends{
		Node:     adminNode{n},
		Devices:  adminDevices{n.gateway, n.backbone},
		Commands: adminCommands{n.gateway, n.backbone, n.cfg.CommandMaxAge},
		Bans:     adminBans{n.gateway, n.backbone, n.entry.bans},
		Revoked:  adminRevocations{n.backbone},
		Limits:   adminLimits{n},
		Log:      adminLog{n.backbone},
		Sinks:    adminSinks{n},
	})
	if err != nil {
		return nil, usageError{err}
	}
	n.letMQTTAppsIn()
	return n.admin.Stop, n.admin.Start()
}

// adminNode is the node as a whole.
type adminNode struct{ *node }

// Status implements admin.Node.
func (a adminNode) Status() api.Node {
	g, ev, b := a.gateway.Stats(), a.server.Stats(), a.backbone.Stats()
	out := api.Node{
		Name:    a.name(),
		Version: version(),
		State:   [...]api.NodeState{api.NodeStarting, api.NodeRunning, api.NodeDraining, api.NodeDrained}[a.state.Load()],
		Started: a.started,
		Log:     logStatus(a.backbone),
		Load:    a.loadStatus(),
		Counts: api.NodeCounts{
			Connections:          int(ev.Open),
			DevicesOnline:        g.Online,
			DevicesRemembered:    g.Remembered,
			QueuedMessages:       g.Lanes.Queued,
			PendingRecords:       b.PendingRecords,
			MessagesReceived:     ev.MessagesIn,
			MessagesAcknowledged: b.Records,
			MessagesRefused:      g.Drops[gateway.DropBadEnvelope] + g.Drops[gateway.DropNotAllowed],
			CommandsSent:         g.CommandsSent + g.CommandsTaken,
		},
	}
	if !g.Drain.Started.IsZero() {
		out.Drain = &api.DrainProgress{
			Started: g.Drain.Started, Window: api.Duration(g.Drain.Window),
			Total: g.Drain.Total, Connections: g.Online, Pending: b.PendingRecords,
			Done: a.state.Load() == stateDrained,
		}
	}
	return out
}

// Ready implements admin.Node.
func (a adminNode) Ready() (reasons []api.Reason) {
	switch a.state.Load() {
	case stateStarting:
		reasons = append(reasons, api.Reason{Code: "starting", Detail: "the node is still starting"})
	case stateDraining, stateDrained:
		reasons = append(reasons, api.Reason{Code: "draining", Detail: "the node is going away"})
	}
	if st := a.backbone.State(); !st.OK() {
		reasons = append(reasons, api.Reason{Code: "log_stalled", Detail: fmt.Sprintf("since %s: %v", st.Since.Format(time.RFC3339), st.Cause)})
	}
	if err := a.backbone.Damage(); err != nil {
		reasons = append(reasons, api.Reason{Code: "log_damaged", Detail: fmt.Sprintf("%s; 'edgeloop log accept' or --on-damage=serve goes on without the lost records", strings.TrimPrefix(err.Error(), "custody: "))})
	}
	return reasons
}

// Warnings implements admin.Node.
func (a adminNode) Warnings() (warnings []api.Reason) {
	if u, ok := a.backbone.Usage(); ok && u.Filling() {
		detail := fmt.Sprintf("the log has room for %d more bytes", u.Room)
		if u.FullIn > 0 {
			detail += fmt.Sprintf(", %s at the present rate", u.FullIn.Round(time.Minute))
		}
		warnings = append(warnings, api.Reason{Code: "log_filling", Detail: detail + "; then devices are held back"})
	}
	return slices.Concat(warnings, a.loadWarnings(), a.tlsWarnings(time.Now()), a.certs.warnings(time.Now()), a.keyWarnings(), a.tokenWarnings())
}

// Drain implements admin.Node.
func (a adminNode) Drain(window time.Duration) error {
	a.askDrain(window)
	return nil
}

// Reload implements admin.Node.
func (a adminNode) Reload(ctx context.Context) (api.Reloaded, error) {
	ctx, cancel := context.WithTimeout(ctx, reloadMost)
	defer cancel()
	out, err := a.reload(ctx)
	var field *api.FieldError
	if err != nil && !errors.As(err, &field) && !errors.Is(err, api.ErrUnavailable) {
		err = &api.FieldError{Field: "settings", Reason: "were not read again, nothing has changed: " + err.Error()}
	}
	return out, err
}

// adminDevices is the session table.
type adminDevices struct {
	gateway  *gateway.Gateway
	backbone *backbone.Backbone
}

// Devices implements admin.Devices.
func (a adminDevices) Devices(q api.DeviceQuery) (api.DevicePage, error) {
	if q.Group != "" && q.Tenant == "" {
		q.Tenant = auth.DefaultTenant
	}
	if err := devicemgr.CheckCursor(q.After); err != nil {
		return api.DevicePage{}, &api.FieldError{Field: "after", Reason: "is not a \"next\" that a page gave"}
	}
	infos, next := a.gateway.Devices().List(devicemgr.Filter{
		Tenant: q.Tenant, Prefix: q.Prefix, Online: q.Online, Group: q.Group,
	}, q.After, q.Limit)
	page := api.DevicePage{Devices: make([]api.Device, len(infos)), Next: next}
	for i := range infos {
		page.Devices[i] = a.device(&infos[i])
	}
	return page, nil
}

// Device implements admin.Devices.
func (a adminDevices) Device(ctx context.Context, tenant, device string) (api.Device, error) {
	if s := a.gateway.Devices().Lookup(devicemgr.Key{Tenant: tenant, Device: device}); s != nil {
		info := a.gateway.Devices().Info(s)
		return a.device(&info), nil
	}
	last, err := a.backbone.Last(ctx, tenant, device)
	switch {
	case err != nil:
		return api.Device{}, adminError(err)
	case last.Position == 0:
		return api.Device{}, api.ErrUnknownDevice
	}
	d := api.Device{Tenant: tenant, Device: device, Epoch: last.Epoch, LastSeen: time.UnixMilli(last.At).Truncate(time.Second), Durable: last.Seq}
	_, d.Banned = a.backbone.Banned(tenant, device)
	return d, nil
}

func (a adminDevices) device(in *gateway.DeviceInfo) api.Device {
	d := api.Device{
		Tenant: in.Key.Tenant, Device: in.Key.Device, Online: in.Online,
		Epoch: in.Epoch, LastSeen: in.LastSeen, Durable: in.Durable, Groups: in.Groups,
	}
	if in.Online {
		d.ConnectedAt = &in.ConnectedAt
	} else if !in.End.At.IsZero() {
		d.DisconnectedAt, d.DisconnectCode, d.DisconnectReason = &in.End.At, in.End.Code, gateway.DescribeEnd(in.End)
	}
	if link, ok := gateway.DescribeLink(in); ok {
		if link.Remote != nil {
			d.Remote = link.Remote.String()
		}
		d.Protocol, d.InFlight, d.OutBuffered = link.Protocol, link.InFlight, link.OutBuffered
	}
	_, d.Banned = a.backbone.Banned(in.Key.Tenant, in.Key.Device)
	return d
}

// Kick implements admin.Devices.
func (a adminDevices) Kick(tenant, device string, code uint16, reason string) error {
	return adminError(a.gateway.Kick(devicemgr.Key{Tenant: tenant, Device: device}, code, reason))
}

// Reset implements admin.Devices.
func (a adminDevices) Reset(ctx context.Context, tenant, device string) (api.Reset, error) {
	r, err := a.gateway.Reset(ctx, devicemgr.Key{Tenant: tenant, Device: device})
	return api.Reset{Tenant: tenant, Device: device, Was: r.Was, Epoch: r.Epoch}, adminError(err)
}

// adminCommands is the way down.
type adminCommands struct {
	gateway  *gateway.Gateway
	backbone *backbone.Backbone
	most     time.Duration // that a command may wait
}

// WaitingCommands implements admin.Commands.
func (a adminCommands) WaitingCommands(ctx context.Context, tenant, device string) ([]api.WaitingCommand, error) {
	waiting, err := a.backbone.WaitingCommands(ctx, tenant, device)
	if err != nil {
		return nil, adminError(err)
	}
	out := make([]api.WaitingCommand, len(waiting))
	for i, w := range waiting {
		out[i] = api.WaitingCommand{ID: w.ID, Name: gateway.StoredName(w.Payload), Stored: w.Stored, Expires: w.Expires}
	}
	return out, nil
}

// CancelCommands implements admin.Commands.
func (a adminCommands) CancelCommands(ctx context.Context, tenant, device, id string) (int, error) {
	n, err := a.backbone.CancelCommands(ctx, tenant, device, id)
	return n, adminError(err)
}

// Command implements admin.Commands.
func (a adminCommands) Command(ctx context.Context, c api.Command) (api.CommandResult, error) {
	id, outcome, reply, err := a.gateway.Command(ctx, devicemgr.Key{Tenant: c.Tenant, Device: c.Device}, gateway.Command{
		Name: c.Name, Data: c.Data, TTL: time.Duration(c.TTL), Now: c.Now, Wait: time.Duration(c.Wait),
	})
	if err != nil {
		return api.CommandResult{}, adminError(err)
	}
	out := api.CommandResult{ID: id}
	switch outcome {
	case gateway.OutcomeReplied:
		data, encoding := reply.JSON()
		out.State = api.CommandReplied
		out.Reply = api.Reply{OK: reply.OK, Code: reply.Code, Message: reply.Text, Data: data, Encoding: encoding}
	case gateway.OutcomeNoReply:
		out.State = api.CommandNoReply
	case gateway.OutcomeLeft:
		until := time.Now().Add(min(reply.TTL, a.most))
		out.State, out.Expires = api.CommandLeft, &until
	case gateway.OutcomeSent:
		out.State = api.CommandSent
	}
	return out, nil
}

// Broadcast implements admin.Commands.
func (a adminCommands) Broadcast(_ context.Context, b api.Broadcast) (api.BroadcastResult, error) {
	id, devices, err := a.gateway.Broadcast(b.Tenant, b.Group, b.Name, b.Data)
	return api.BroadcastResult{ID: id, Devices: devices}, adminError(err)
}
