package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"edgeloop/admin/api"
	"edgeloop/backbone"
	"edgeloop/devicemgr"
	"edgeloop/eventloop"
)

// onBan hears of each ban that is in force, of this node and of others.
func (n *node) onBan(b backbone.Ban) {
	if g := n.ends.Load(); g != nil {
		// Not connected, or not known: then there is nothing to close.
		_ = g.Kick(devicemgr.Key{Tenant: b.Tenant, Device: b.Device}, uint16(eventloop.CloseForbidden), "banned: "+b.Reason)
	}
}

// onRevoke hears of each revocation that is in force, of this node and of others.
func (n *node) onRevoke(r backbone.Revocation) {
	g := n.ends.Load()
	if g == nil {
		return // nobody is connected yet
	}
	if closed := g.Revoke(&r); closed > 0 {
		n.log.Info("tokens were revoked, their connections are closed", zap.String("tenant", r.Tenant), zap.String("device_id", r.Device), zap.Int("connections", closed))
	}
}

// adminRevocations is what the log keeps; connections are closed by onRevoke.
type adminRevocations struct{ backbone *backbone.Backbone }

// Revoke implements admin.Revocations. Times are rounded up to the second: a token of the
// second in which it is taken back is taken back, too.
func (a adminRevocations) Revoke(ctx context.Context, r api.Revocation) (api.Revocation, error) {
	in := backbone.Revocation{Tenant: r.Tenant, Device: r.Device, TokenID: r.JTI, Reason: r.Reason}
	if r.Before != nil {
		in.Before = r.Before.Add(time.Second - 1).Unix()
	}
	if r.Until != nil {
		in.Until = *r.Until
	}
	out, err := a.backbone.Revoke(ctx, in)
	if errors.Is(err, backbone.ErrRevocationsFull) {
		return r, &api.FieldError{Field: "revocations", Reason: fmt.Sprintf("are full: %v", err), Max: backbone.MaxRevocations}
	}
	if err != nil {
		return r, adminError(err)
	}
	return revocationOf(&out), nil
}

// LiftRevocation implements admin.Revocations.
func (a adminRevocations) LiftRevocation(ctx context.Context, tenant, id string) (bool, error) {
	for _, r := range a.Revocations(tenant) {
		if r.ID == id {
			lifted, err := a.backbone.LiftRevocation(ctx, id)
			return lifted, adminError(err)
		}
	}
	return false, nil
}

// Revocations implements admin.Revocations.
func (a adminRevocations) Revocations(tenant string) (all []api.Revocation) {
	for _, r := range a.backbone.Revocations() {
		if tenant == "" || r.Tenant == tenant {
			all = append(all, revocationOf(&r))
		}
	}
	return all
}

func revocationOf(r *backbone.Revocation) api.Revocation {
	out := api.Revocation{ID: r.ID(), Tenant: r.Tenant, Device: r.Device, JTI: r.TokenID, Reason: r.Reason}
	if r.Before != 0 {
		before := time.Unix(r.Before, 0).UTC()
		out.Before = &before
	}
	if !r.Until.IsZero() {
		out.Until = &r.Until
	}
	return out
}
