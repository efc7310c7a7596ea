package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/goccy/go-yaml"
)

// configFlag names the configuration file. What the command line and the
// environment leave open is taken from it.
type configFlag string

// BeforeResolve has the file read before flags get their values.
func (c configFlag) BeforeResolve(k *kong.Kong, ctx *kong.Context, trace *kong.Path) error {
	path := string(ctx.FlagValue(trace.Flag).(configFlag)) //nolint:forcetypeassert // kong made it
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("--config: %w", err)
	}
	defer f.Close()
	r, err := newFileResolver(path, f)
	if err != nil {
		return err
	}
	if c, ok := k.Model.Target.Addr().Interface().(*cli); ok {
		if c.Serve.Sinks, err = r.maps(sinksKey); err != nil {
			return err
		}
		if c.Serve.Commands, err = r.maps(commandsKey); err != nil {
			return err
		}
		if c.Serve.Presence, err = r.maps(presenceKey); err != nil {
			return err
		}
		if c.Serve.Tenants, err = r.tenants(); err != nil {
			return err
		}
	}
	ctx.AddResolver(r)
	return nil
}

// fileResolver answers for flags from a configuration file.
type fileResolver struct {
	path    string
	values  map[string]any
	written map[string][]string // see writtenNumbers
}

func newFileResolver(path string, r io.Reader) (*fileResolver, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("configuration file %s: %w", path, err)
	}
	f := &fileResolver{path: path, values: make(map[string]any), written: writtenNumbers(text)}
	raw := make(map[string]any)
	if err := yaml.NewDecoder(bytes.NewReader(text)).Decode(&raw); err != nil && !errors.Is(err, io.EOF) {
		// Without the lines around it, which may hold a password.
		return nil, fmt.Errorf("configuration file %s: %s", path, yaml.FormatError(err, false, false))
	}
	for key, value := range raw {
		name := strings.ReplaceAll(key, "_", "-")
		if _, twice := f.values[name]; twice {
			return nil, fmt.Errorf("configuration file %s: key %q is there twice, with _ and with -", path, name)
		}
		f.values[name] = value
	}
	return f, nil
}

// These have lists of maps, which no flag can have.
const (
	sinksKey    = "sinks"
	commandsKey = "commands"
	presenceKey = "presence"
)

// tenantsKey has a map of maps, by the names of tenants.
const tenantsKey = "tenants"

// maps is a list of maps.
func (f *fileResolver) maps(key string) ([]any, error) {
	value, is := f.values[key]
	list, isList := value.([]any)
	if is && !isList {
		return nil, fmt.Errorf("configuration file %s: key %q takes a list, each item of it with keys of its own", f.path, key)
	}
	return list, nil
}

// tenants is the map of tenants.
func (f *fileResolver) tenants() (map[string]any, error) {
	value, is := f.values[tenantsKey]
	byName, isMap := value.(map[string]any)
	if is && !isMap {
		return nil, fmt.Errorf("configuration file %s: key %q takes names of tenants, each with keys of its own", f.path, tenantsKey)
	}
	return byName, nil
}

// Validate refuses keys that no flag has, before anything starts.
func (f *fileResolver) Validate(app *kong.Application) error {
	known := append(flagNames(app.Node), sinksKey, commandsKey, presenceKey, tenantsKey)
	for key := range f.values {
		if !slices.Contains(known, key) {
			return fmt.Errorf("configuration file %s: no such key %q; keys are named like the flags: %s",
				f.path, key, strings.Join(known, ", "))
		}
	}
	return nil
}

// Resolve implements kong.Resolver. The environment is above the file.
func (f *fileResolver) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	value, ok := f.values[flag.Name]
	if !ok || action(flag) { // what says what to do is in no file
		return nil, nil //nolint:nilnil // kong's way to say: not here
	}
	for _, env := range flag.Envs {
		if _, set := os.LookupEnv(env); set {
			return nil, nil //nolint:nilnil // as above
		}
	}
	value = f.asWritten(flag.Name, flag.Target.Type(), value)
	if list, ok := value.([]any); ok && flag.IsSlice() {
		return f.list(flag.Name, list)
	}
	return f.one(flag.Name, value)
}

// list is a list of values as they would stand on the command line.
func (f *fileResolver) list(name string, values []any) (any, error) {
	texts := make([]any, len(values))
	for i, value := range values {
		text, err := f.one(name, value)
		if err != nil {
			return nil, err
		}
		texts[i] = text
	}
	return texts, nil
}

// one is one value as it would stand on the command line.
func (f *fileResolver) one(name string, value any) (string, error) {
	switch value.(type) {
	case string, bool, int64, uint64, float64:
		return fmt.Sprint(value), nil
	default: // lists, maps, nothing, and YAML's binary
		return "", fmt.Errorf("configuration file %s: key %q takes one value", f.path, name)
	}
}

// flagNames lists the flags of a command and of those below it that may be in a file.
func flagNames(n *kong.Node) (names []string) {
	for _, flag := range n.Flags {
		if flag.Name != "help" && flag.Name != "config" && !action(flag) && !slices.Contains(names, flag.Name) {
			names = append(names, flag.Name)
		}
	}
	for _, child := range n.Children {
		for _, name := range flagNames(child) {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}
