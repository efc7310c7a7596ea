package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"time"

	"go.uber.org/zap"

	"edgeloop/admin/api"
)

// reloadMost is how long a reload may take, which reads some small files.
const reloadMost = 30 * time.Second

// readSettings reads the settings as the command line, the environment and the
// configuration file give them, and checks them as far as this needs nothing else.
func readSettings(args []string) (settings, error) {
	var c cli
	parser, err := newParser(&c, io.Discard, io.Discard)
	if err != nil {
		return nil, err
	}
	if _, err := parser.Parse(args); err != nil {
		return nil, err
	}
	return c.Serve.values(), c.Serve.planValues()
}

// inTurn has do change the settings while nobody else does.
func (n *node) inTurn(ctx context.Context, do func() error) error {
	select {
	case n.turn <- struct{}{}:
		defer func() { <-n.turn }()
		return do()
	case <-ctx.Done():
		return fmt.Errorf("%w: the settings are being read again: %w", api.ErrUnavailable, ctx.Err())
	}
}

// hangUp is what SIGHUP asks for.
func (n *node) hangUp() {
	before := n.watch.phase.Load()
	n.tellReloading()
	defer n.tellReady()
	ctx, cancel := n.watch.untilAsked()
	defer cancel()
	_, err := step(ctx, n.watch, "read the settings again", reloadMost, n.reload)
	if err != nil {
		n.log.Error("the settings were not read again, nothing has changed", zap.Error(err))
	}
	n.watch.phase.Store(before)
}

// reload reads keys, tokens and certificates again, and of the settings what may change while the
// node runs. All of it changes, or nothing. What the API has changed stays.
func (n *node) reload(ctx context.Context) (out api.Reloaded, err error) {
	err = n.inTurn(ctx, func() error {
		fresh, err := readSettings(n.args)
		if err != nil {
			return err
		}
		out, err = n.apply(ctx, fresh)
		return err
	})
	if err != nil {
		return out, err
	}
	n.log.Info("keys, tokens and settings were read again", zap.Strings("changed", out.Changed))
	if len(out.Kept) > 0 {
		n.log.Info("some settings are as the API has changed them", zap.Strings("flags", out.Kept))
	}
	if len(out.Fixed) > 0 {
		n.log.Warn("some settings change only with a restart", zap.Strings("flags", out.Fixed))
	}
	return out, nil
}

// apply puts in force what of fresh may change, and the keys and the tokens. What may
// fail comes first.
func (n *node) apply(ctx context.Context, fresh settings) (out api.Reloaded, err error) {
	useFiles, err := n.loadFiles()
	if err != nil {
		return out, err
	}
	useFileKeys, err := n.loadFileKeys(fresh)
	if err != nil {
		return out, err
	}
	var c change
	state := n.told.Load()
	given := maps.Clone(state.given)
	out.Changed, out.Kept, out.Fixed = []string{}, slices.Sorted(maps.Keys(state.byHand)), fixedFileKeys(state.given, fresh)
	for i := range table {
		r := &table[i]
		value := fresh[r.name]
		if reflect.DeepEqual(state.given[r.name], value) {
			continue
		}
		if r.live == nil {
			out.Fixed = append(out.Fixed, r.name)
			continue
		}
		value = n.meant(r, value)
		if least, greatest := n.mayBe(r); r.bounded() && (asNumber(value) < least || asNumber(value) > greatest) {
			kind := n.cfg.kinds()[r.name]
			return out, fmt.Errorf("--%s=%v: while the node runs %v to %v are allowed", r.name, kind.JSONValue(asNumber(value)), kind.JSONValue(least), kind.JSONValue(greatest))
		}
		given[r.name] = fresh[r.name]
		if _, kept := state.byHand[r.name]; !kept {
			r.live.put(&c, value)
			out.Changed = append(out.Changed, r.name)
		}
	}
	if err := n.put(c); err != nil {
		return out, err
	}
	useFiles()
	for _, key := range slices.Sorted(maps.Keys(useFileKeys)) {
		useFileKeys[key](ctx)
		given[key] = fresh[key]
		out.Changed = append(out.Changed, key)
	}
	n.told.Store(&inForce{given, state.byHand})
	return out, nil
}

// loadFiles reads what lies in files of its own again; use puts all of it in force.
func (n *node) loadFiles() (use func(), err error) {
	var all []func()
	for _, load := range []func() (func(), error){n.loadKeys, n.loadTokens, n.loadTLS, n.loadCIDRs, n.loadCertificates} {
		use, err := load()
		if err != nil {
			return nil, err
		}
		all = append(all, use)
	}
	return func() {
		for _, use := range all {
			use()
		}
	}, nil
}

// loadFileKeys reads the sinks, the sources of commands and the quotas again. For what has changed it gives
// what puts it in force, by its key.
func (n *node) loadFileKeys(fresh settings) (use map[string]func(context.Context), err error) {
	use = make(map[string]func(context.Context))
	for key, load := range map[string]func(settings) (func(context.Context), error){sinksKey: n.loadSinks, commandsKey: n.loadIntake, tenantsKey: n.loadQuotas} {
		one, err := load(fresh)
		if err != nil {
			return nil, err
		}
		if one != nil {
			use[key] = one
		}
	}
	return use, nil
}
