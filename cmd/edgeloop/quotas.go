package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"edgeloop/admin"
	"edgeloop/auth"
	"edgeloop/quota"
	"edgeloop/sink/keys"
)

// mostTenants is how many tenants may have quotas of their own: each has series of its own.
const mostTenants = 1000

// parseQuotas reads what tenants may use. What one that is named leaves out is as for all
// others, quota.Others.
func parseQuotas(byName map[string]any) (others quota.Limits, named map[string]quota.Limits, err error) {
	if len(byName) > mostTenants {
		return others, nil, fmt.Errorf("%s: there are %d, a node has at most %d", tenantsKey, len(byName), mostTenants)
	}
	if of, is := byName[quota.Others]; is {
		if others, err = parseQuota(quota.Others, of, quota.Limits{}); err != nil {
			return others, nil, err
		}
	}
	named = make(map[string]quota.Limits, len(byName))
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		if name == quota.Others {
			continue
		}
		if err := auth.CheckName("tenant", name); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w; all others are %q", tenantsKey, err, quota.Others))
			continue
		}
		limits, err := parseQuota(name, byName[name], others)
		errs = append(errs, err)
		named[name] = limits
	}
	return others, named, errors.Join(errs...)
}

// parseQuota reads what one tenant may use; what is left out is as in rest.
func parseQuota(name string, value any, rest quota.Limits) (quota.Limits, error) {
	where := tenantsKey + "." + name
	values, isMap := value.(map[string]any)
	if !isMap && value != nil {
		return rest, fmt.Errorf("%s: takes keys of its own, as in max-connections: 1000", where)
	}
	m := keys.New(where, values)
	for i := range quota.Fields {
		f := &quota.Fields[i]
		limit := f.Of(&rest)
		if f.InBytes() {
			*limit = m.Size(f.Name, *limit, 0, f.Most)
		} else {
			*limit = m.Number(f.Name, *limit, 0, f.Most)
		}
	}
	return rest, m.Err()
}

// planQuotas checks the quotas.
func (s *serveCmd) planQuotas() error {
	_, _, err := parseQuotas(s.Tenants)
	return err
}

func (n *node) startQuotas(context.Context) (stopFunc, error) {
	others, named, err := parseQuotas(n.cfg.Tenants)
	if err != nil {
		return nil, usageError{err}
	}
	n.quotas.Give(others, named)
	byHand, err := keptQuotas(n.cfg.DataDir)
	n.quotas.SetByHand(byHand)
	return nil, err
}

// loadQuotas reads the quotas again; use puts them in force, nil if nothing has changed.
func (n *node) loadQuotas(fresh settings) (use func(context.Context), err error) {
	byName, _ := fresh[tenantsKey].(map[string]any)
	if reflect.DeepEqual(n.told.Load().given[tenantsKey], fresh[tenantsKey]) {
		return nil, nil
	}
	others, named, err := parseQuotas(byName)
	if err != nil {
		return nil, err
	}
	return func(context.Context) {
		n.quotas.Give(others, named)
		n.gateway.QuotasChanged()
	}, nil
}

// quotaMetrics are of the tenants that are named, and of all others together.
func (n *node) quotaMetrics(to func(admin.Sample)) {
	emit := emitTo(to)
	for tenant, over := range n.gateway.OverQuota() {
		for k := range quota.NumKinds {
			emit("edgeloop_quota_over_total", float64(over[k]), tenant, quota.Kind(k).String()) //nolint:gosec // small
		}
	}
	for _, tenant := range n.quotas.Names() {
		u := n.gateway.Usage(tenant)
		emit("edgeloop_quota_connections", float64(u.Connections), tenant)
		emit("edgeloop_quota_waiting_connections", float64(u.Waiting), tenant)
		emit("edgeloop_quota_stored_commands", float64(n.backbone.TenantCommands(tenant)), tenant)
		emit("edgeloop_quota_stored_bytes", float64(n.backbone.StoredBytes(tenant)), tenant)
	}
}
