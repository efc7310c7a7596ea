package main

import (
	"context"
	"io"
	"time"

	"edgeloop/admin"
	"edgeloop/admin/api"
	"edgeloop/backbone"
	"edgeloop/devicemgr"
	"edgeloop/doorman"
	"edgeloop/gateway"
)

var (
	_ admin.Node     = adminNode{}
	_ admin.Devices  = adminDevices{}
	_ admin.Commands = adminCommands{}
	_ admin.Bans     = adminBans{}
	_ admin.Limits   = adminLimits{}

	_ admin.Revocations = adminRevocations{}
	_ admin.Log         = adminLog{}
)

// adminLog reads the log back.
type adminLog struct{ backbone *backbone.Backbone }

// Identity implements admin.Log.
func (a adminLog) Identity() string { return a.backbone.Identity() }

// Tail implements admin.Log.
func (a adminLog) Tail(ctx context.Context, q api.TailQuery, fn func(position uint64, line []byte) error) error {
	return adminError(a.backbone.Read(ctx, backbone.ReadOptions{
		Since: q.Since, After: q.After, Log: q.Log, New: q.New(), Tenant: q.Tenant, Device: q.Device, Follow: q.Follow,
	}, fn))
}

// Backup implements admin.Log.
func (a adminLog) Backup(ctx context.Context, w io.Writer) error {
	return adminError(a.backbone.Backup(ctx, w, version()))
}

// adminBans is who must stay out. The log keeps the bans; the gateway closes
// the connection of who is banned while it is here.
type adminBans struct {
	gateway   *gateway.Gateway
	backbone  *backbone.Backbone
	addresses *doorman.Bans // nil without --ban-failures
}

// Ban implements admin.Bans.
func (a adminBans) Ban(ctx context.Context, b api.Ban) (created bool, err error) {
	_, before := a.BanOf(b.Tenant, b.Device)
	var until time.Time
	if b.Until != nil {
		until = *b.Until
	}
	if err := a.backbone.Ban(ctx, b.Tenant, b.Device, until, b.Reason); err != nil {
		return false, adminError(err)
	}
	a.gateway.Banned(devicemgr.Key{Tenant: b.Tenant, Device: b.Device}, until, b.Reason)
	return !before, nil
}

// Unban implements admin.Bans.
func (a adminBans) Unban(ctx context.Context, tenant, device string) (bool, error) {
	if _, ok := a.BanOf(tenant, device); !ok {
		return false, nil
	}
	return true, adminError(a.backbone.Unban(ctx, tenant, device))
}

// BanOf implements admin.Bans.
func (a adminBans) BanOf(tenant, device string) (api.Ban, bool) {
	if _, banned := a.backbone.Banned(tenant, device); !banned {
		return api.Ban{}, false
	}
	for _, b := range a.Bans(tenant) {
		if b.Device == device {
			return b, true
		}
	}
	return api.Ban{}, false
}

// Bans implements admin.Bans.
func (a adminBans) Bans(tenant string) (bans []api.Ban) {
	for _, b := range a.backbone.Bans() {
		if tenant != "" && b.Tenant != tenant {
			continue
		}
		ban := api.Ban{Tenant: b.Tenant, Device: b.Device, Reason: b.Reason}
		if !b.Until.IsZero() {
			ban.Until = &b.Until
		}
		bans = append(bans, ban)
	}
	return bans
}
