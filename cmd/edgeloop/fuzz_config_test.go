package main

import (
	"bytes"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// parseServe reads the settings of serve as main does, without the environment.
func parseServe(t *testing.T, resolver kong.Resolver, args ...string) (serveCmd, error) {
	t.Helper()
	var c cli
	parser, err := kong.New(&c, kong.Name("edgeloop"), unitFlags, kong.Vars{"version": "x", "data_dir": dataDir}, kong.Resolvers(resolver))
	if err != nil {
		t.Fatal(err)
	}
	_, err = parser.Parse(append([]string{"serve"}, args...))
	return c.Serve, err
}

// noFile is a resolver that knows nothing.
var noFile = kong.ResolverFunc(func(*kong.Context, *kong.Path, *kong.Flag) (any, error) { return nil, nil })

// serveFlags are the names of the flags of serve.
func serveFlags(f *testing.F) []string {
	f.Helper()
	parser, err := kong.New(new(cli), unitFlags, kong.Vars{"version": "x", "data_dir": dataDir})
	if err != nil {
		f.Fatal(err)
	}
	for _, child := range parser.Model.Children {
		if child.Name == "serve" {
			return flagNames(child)
		}
	}
	f.Fatal("there is no command serve")
	return nil
}

// Any bytes are a configuration, and then the same one as its keys and values on
// the command line, or are refused with the name of the file or of the key that
// is at fault.
func FuzzConfigFile(f *testing.F) {
	for _, text := range []string{
		"", "{}", "---\n", "# nothing\n", "window: 7\nmax_message: 500\n", "heartbeat: 1s\nidle-timeout: 90s\n",
		"compression: true\nlog-format: json\n", "data-dir: \"/tmp/x\"\nnode: edge-1\n", "window: many\n", "windw: 7\n",
		"max-message: 1\nmax_message: 2\n", "window: [7]\n", "window: {a: 1}\n", "window:\n", "node: !!binary aGVsbG8=\n",
		"log-max-age: 24h\nlog-max-bytes: 0x10\n", "node: &a edge\nnats-url: *a\n", "nats-url: nats://a:1,nats://b:2\n",
		"node: 2026-11-21\n", "lanes: 1_000\n", "fd-limit: 1e3\n", "node: |\n  a\n  b\n", "? window\n: 7\n", "1: 2\n",
		"<<: {window: 7}\n", "a: b: c\n", "\xff\xfe", "window: 7\n---\nwindow: 8\n",
		"node: 007\n", "node: 1e3\n", "node: 0x10\n", "node: +1\n", "node: .inf\n", "node: 1_0\n", "node: &a 08\nnats-url: *a\n", "token-issuer: [007, a, 1.50]\n",
		"listen: a:1\n", "listen: [a:1, b:2]\n", "listen: 'a:1,b:2'\n", "listen: [[a]]\n", "listen: [{a: 1}]\n",
	} {
		f.Add([]byte(text))
	}
	flags, types := serveFlags(f), map[string]reflect.Type{}
	new(serveCmd).flags(func(name string, field reflect.StructField, _ reflect.Value) { types[name] = field.Type })
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 4<<10 {
			t.Skip("longer than any configuration")
		}
		file, err := newFileResolver("edgeloop.yaml", bytes.NewReader(text))
		if err != nil {
			if !strings.Contains(err.Error(), "edgeloop.yaml") {
				t.Errorf("%q: the error does not name the file: %v", text, err)
			}
			return
		}
		fromFile, err := parseServe(t, file)
		if err != nil {
			if !namesOneOf(err, slices.Collect(maps.Keys(file.values))) {
				t.Errorf("%q: the error names no key of %v: %v", text, file.values, err)
			}
			return
		}
		var args []string
		for key, value := range file.values {
			if !slices.Contains(flags, key) {
				continue // of another command
			}
			flag, ok := types[key]
			if ok {
				value = file.asWritten(key, flag, value)
			}
			if list, isList := value.([]any); isList && ok && flag.Kind() == reflect.Slice {
				value = kong.JoinEscaped(texts(list), ',')
			}
			if !oneValue(value) {
				t.Errorf("%q: %s is a %T and was taken", text, key, value)
			}
			args = append(args, fmt.Sprintf("--%s=%v", key, value))
		}
		if fromArgs, err := parseServe(t, noFile, args...); err != nil || !reflect.DeepEqual(fromArgs, fromFile) {
			t.Errorf("%q\nis  %+v\nbut %+v, %v, of %q", text, fromFile, fromArgs, err, args)
		}
		for _, plan := range []func() error{fromFile.planRanges, fromFile.planTogether, fromFile.planNames} {
			if err := plan(); err != nil && !namesOneOf(err, flags) {
				t.Errorf("%q: the error names no flag: %v", text, err)
			}
		}
	})
}

func namesOneOf(err error, keys []string) bool {
	return slices.ContainsFunc(keys, func(key string) bool {
		return strings.Contains(err.Error(), key) || strings.Contains(err.Error(), strconv.Quote(key))
	})
}

func texts(list []any) (out []string) {
	for _, v := range list {
		out = append(out, fmt.Sprint(v))
	}
	return out
}

// oneValue says whether a value of YAML has a spelling that a flag can have.
func oneValue(v any) bool {
	switch v.(type) {
	case string, bool, int, int64, uint64, float64:
		return true
	}
	return false
}
