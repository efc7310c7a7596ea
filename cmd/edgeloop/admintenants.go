package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"edgeloop/admin/api"
	"edgeloop/auth"
	"edgeloop/quota"
)

// Tenant implements admin.Limits.
func (a adminLimits) Tenant(tenant string) api.Tenant {
	limits, given, u := a.quotas.Of(tenant), a.quotas.Given(tenant), a.gateway.Usage(tenant)
	out := api.Tenant{
		Tenant: tenant, Named: a.quotas.Named(tenant), Connections: u.Connections, Waiting: u.Waiting,
		Commands: a.backbone.TenantCommands(tenant), StoredBytes: a.backbone.StoredBytes(tenant), Groups: a.gateway.Devices().Groups(tenant),
	}
	byHand := a.quotas.ByHand()[tenant]
	for i := range quota.Fields {
		f := &quota.Fields[i]
		l := api.Limit{Name: f.Name, Kind: api.LimitCount, Value: *f.Of(&limits), Given: *f.Of(&given), Max: f.Most, Changeable: true, Help: f.Help}
		if strings.HasSuffix(f.Name, "_per_second") {
			l.Kind = api.LimitRate
		}
		_, l.Changed = byHand[f.Name]
		out.Limits = append(out.Limits, l)
	}
	if out.Named { // else they are those of all others, too
		out.OverQuota = make(map[string]uint64, quota.NumKinds)
		for k, n := range u.Over {
			out.OverQuota[quota.Kind(k).String()] = n //nolint:gosec // small
		}
	}
	return out
}

// SetTenant implements admin.Limits.
func (a adminLimits) SetTenant(ctx context.Context, tenant string, values map[string]*int64) error {
	return a.inTurn(ctx, func() error {
		if !a.quotas.Named(tenant) && len(a.quotas.Names()) >= mostTenants {
			return &api.FieldError{Field: "tenant", Reason: fmt.Sprintf("cannot have quotas of its own: %d tenants have, which is the most", mostTenants)}
		}
		all := maps.Clone(a.quotas.ByHand())
		if all == nil {
			all = make(quota.Changes)
		}
		own := maps.Clone(all[tenant])
		if own == nil {
			own = make(map[string]int64)
		}
		for name, value := range values {
			if value == nil {
				delete(own, name)
			} else {
				own[name] = *value
			}
		}
		if all[tenant] = own; len(own) == 0 {
			delete(all, tenant)
		}
		if err := keepQuotas(a.cfg.DataDir, all); err != nil {
			return fmt.Errorf("%w: the quotas cannot be kept: %w", api.ErrUnavailable, err)
		}
		a.quotas.SetByHand(all)
		a.gateway.QuotasChanged()
		return nil
	})
}

// quotaFile has the quotas that were changed while the node ran.
func quotaFile(dataDir string) string { return filepath.Join(dataDir, "quotas.json") }

// keepQuotas writes what was changed, whole or not at all; nothing is no file.
func keepQuotas(dataDir string, byHand quota.Changes) error {
	path := quotaFile(dataDir)
	if len(byHand) == 0 {
		return removeFile(path)
	}
	text, err := json.MarshalIndent(byHand, "", "  ")
	if err != nil {
		return err
	}
	return replaceFile(path, append(text, '\n'))
}

// replaceFile writes a file that only this user reads, whole or not at all, also over a loss of power.
func replaceFile(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// keptQuotas reads what keepQuotas wrote.
func keptQuotas(dataDir string) (byHand quota.Changes, err error) {
	path := quotaFile(dataDir)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &byHand)
	}
	for tenant, changes := range byHand {
		err = errors.Join(err, checkChanges(tenant, changes))
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w: it has the quotas that were changed while the node ran: mend it, or remove it for those of the configuration", path, err)
	}
	return byHand, nil
}

// checkChanges sees that what was read is what may have been written.
func checkChanges(tenant string, changes map[string]int64) error {
	for name, value := range changes {
		i := slices.IndexFunc(quota.Fields[:], func(f quota.Field) bool { return f.Name == name })
		if i < 0 || value < 0 || value > quota.Fields[i].Most {
			return fmt.Errorf("%s.%s: %d is no quota", tenant, name, value)
		}
	}
	return auth.CheckName("tenant", tenant)
}
