package main

import (
	"context"
	"maps"
	"reflect"
	"strings"

	"edgeloop/admin/api"
)

// adminLimits are the bounds of the node: those of the settings that matter to an
// operator while it runs.
type adminLimits struct{ *node }

// Limits implements admin.Limits.
func (a adminLimits) Limits() (all []api.Limit) {
	state, started, kinds, help := a.told.Load(), a.cfg.values(), a.cfg.kinds(), a.cfg.help()
	for i := range table {
		r := &table[i]
		if !r.limit {
			continue
		}
		value := started[r.name]
		if r.live != nil {
			value = r.live.now(a.node)
		}
		l := api.Limit{
			Name: underscored(r.name), Kind: kinds[r.name], Help: help[r.name], Changeable: r.live != nil,
			Value: asNumber(value), Given: asNumber(a.meant(r, state.given[r.name])),
		}
		l.Min, l.Max = a.mayBe(r)
		_, l.Changed = state.byHand[r.name]
		all = append(all, l)
	}
	return all
}

func underscored(name string) string { return strings.ReplaceAll(name, "-", "_") }

// help is the help of the flags.
func (s *serveCmd) help() map[string]string {
	all := make(map[string]string)
	s.flags(func(name string, field reflect.StructField, _ reflect.Value) { all[name] = field.Tag.Get("help") })
	return all
}

// SetLimits implements admin.Limits.
func (a adminLimits) SetLimits(ctx context.Context, values map[string]*int64) error {
	return a.inTurn(ctx, func() error {
		var c change
		state := a.told.Load()
		byHand := maps.Clone(state.byHand)
		for name, value := range values {
			r := settingOf(strings.ReplaceAll(name, "_", "-"))
			if value == nil {
				delete(byHand, r.name)
				r.live.put(&c, a.meant(r, state.given[r.name]))
				continue
			}
			byHand[r.name] = *value
			r.live.put(&c, *value)
		}
		if err := a.put(c); err != nil {
			return err
		}
		a.told.Store(&inForce{state.given, byHand})
		return nil
	})
}
