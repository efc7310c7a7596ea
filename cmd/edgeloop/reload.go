package main

import (
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"edgeloop/admin/api"
	"edgeloop/auth"
)

// settings are the values of serve's flags by name, as the command line, the
// environment and the configuration file give them.
type settings map[string]any

// readSettings reads them, and checks them as far as this needs nothing but them.
func readSettings(args []string) (settings, error) {
	var c cli
	parser, err := newParser(&c, io.Discard, io.Discard)
	if err != nil {
		return nil, err
	}
	if _, err := parser.Parse(args); err != nil {
		return nil, err
	}
	given := make(settings)
	for _, command := range parser.Model.Children {
		for _, flag := range command.Flags {
			if command.Name == "serve" && flag.Name != "help" {
				given[flag.Name] = flag.Target.Interface()
			}
		}
	}
	return given, c.Serve.planValues()
}

// changed are the names whose values differ, sorted.
func (s settings) changed(fresh settings) (names []string) {
	for _, name := range slices.Sorted(maps.Keys(fresh)) {
		if !reflect.DeepEqual(s[name], fresh[name]) {
			names = append(names, name)
		}
	}
	return names
}

// reload is what SIGHUP asks for: keys and tokens are read again, and of the
// settings what may change while the node runs. All of it changes, or nothing.
func (n *node) reload() {
	fresh, err := readSettings(n.args)
	if err != nil {
		n.log.Error("the settings were not read again, nothing has changed", zap.Error(err))
		return
	}
	changed := n.given.changed(fresh)
	done, err := n.apply(fresh, changed)
	if err != nil {
		n.log.Error("the settings were not read again, nothing has changed", zap.Error(err))
		return
	}
	for _, name := range done {
		n.given[name] = fresh[name]
	}
	n.log.Info("keys, tokens and settings were read again", zap.Strings("changed", done))
	if fixed := slices.DeleteFunc(changed, func(name string) bool { return slices.Contains(done, name) }); len(fixed) > 0 {
		n.log.Warn("some settings change only with a restart", zap.Strings("flags", fixed))
	}
}

// apply puts in force what of changed may change, and the keys and the tokens.
// What may fail comes first.
func (n *node) apply(fresh settings, changed []string) (done []string, err error) {
	useKeys, err := n.loadKeys()
	if err != nil {
		return nil, err
	}
	useTokens, err := n.loadTokens()
	if err != nil {
		return nil, err
	}
	limits := adminLimits{n}
	values, done, err := limitValues(limits.Limits(), fresh, changed)
	if err != nil {
		return nil, err
	}
	if err := limits.SetLimits(values); err != nil {
		return nil, err
	}
	if slices.Contains(changed, "log-level") {
		level, _ := zapcore.ParseLevel(fmt.Sprint(fresh["log-level"])) // one of those that the flag allows
		n.log.level.SetLevel(level)
		done = append(done, "log-level")
	}
	useKeys()
	useTokens()
	return done, nil
}

// limitValues are the limits among what has changed, by their names in the API.
func limitValues(limits []api.Limit, fresh settings, changed []string) (values map[string]int64, names []string, err error) {
	values = make(map[string]int64)
	for _, l := range limits {
		name := strings.ReplaceAll(l.Name, "_", "-")
		if !l.Changeable || !slices.Contains(changed, name) {
			continue
		}
		v := reflect.ValueOf(fresh[name])
		if !v.CanInt() {
			continue
		}
		value := v.Int()
		if l.Name == "max_connections" && value == 0 {
			value = l.Max // what the descriptors carry
		}
		if value < l.Min || value > l.Max {
			return nil, nil, fmt.Errorf("--%s=%v: while the node runs %v to %v are allowed", name, fresh[name], l.Kind.JSONValue(l.Min), l.Kind.JSONValue(l.Max))
		}
		values[l.Name] = value
		names = append(names, name)
	}
	return values, names, nil
}

// loadKeys reads the keys of device tokens; use puts them in force. A secret of
// the node's own that was moved out of the way is made anew.
func (n *node) loadKeys() (use func(), err error) {
	if n.verifier == nil {
		return func() {}, nil
	}
	if n.ownSecret != "" && auth.Moved(n.ownSecret) {
		if _, _, err := auth.EnsureSecret(n.cfg.DataDir); err != nil {
			return nil, err
		}
		n.log.Info("made a new secret for device tokens, those of the previous one are still taken", zap.String("file", n.ownSecret))
	}
	return n.verifier.Load()
}

// loadTokens is the same for the admin tokens.
func (n *node) loadTokens() (use func(), err error) {
	path := adminTokenFile(n.cfg.DataDir)
	if auth.Moved(path) {
		if _, _, err := auth.EnsureToken(path); err != nil {
			return nil, err
		}
		n.log.Info("made a new admin token, the previous one is still taken", zap.String("file", path))
	}
	principals, err := n.cfg.readPrincipals()
	if err != nil {
		return nil, err
	}
	return func() { _ = n.admin.SetPrincipals(principals...) }, nil // there is one at least
}
