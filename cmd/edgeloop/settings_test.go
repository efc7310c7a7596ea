package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"edgeloop/admin/api"
	"edgeloop/admin/client"
)

var update = flag.Bool("update", false, "write docs/settings.md")

// TestSettings_Table: every flag of serve has one row, and every row a flag whose
// default is in its range; a row that is a limit has a range.
func TestSettings_Table(t *testing.T) {
	var c cli
	parser, err := newParser(&c, io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse([]string{"serve"}); err != nil {
		t.Fatal(err)
	}
	rows := map[string]int{}
	for i := range table {
		rows[table[i].name]++
	}
	values, known := c.Serve.values(), 0
	for _, command := range parser.Model.Children {
		for _, flag := range command.Flags {
			if command.Name != "serve" || flag.Name == "help" {
				continue
			}
			known++
			if rows[flag.Name] != 1 {
				t.Errorf("--%s has %d rows", flag.Name, rows[flag.Name])
			}
			if got, there := values[flag.Name]; !there || fmt.Sprint(got) != fmt.Sprint(plain(flag.Target)) {
				t.Errorf("--%s is %v, in the table %v", flag.Name, flag.Target, got)
			}
		}
	}
	if known != len(table) {
		t.Errorf("%d flags and %d rows", known, len(table))
	}
	if err := c.Serve.planRanges(); err != nil {
		t.Errorf("a default is out of range: %v", err)
	}
	kinds := c.Serve.kinds()
	for i := range table {
		if r := &table[i]; (r.limit || r.bounded()) && kinds[r.name] == "" || r.limit && !r.bounded() {
			t.Errorf("--%s: no number, or no range", r.name)
		}
	}
}

// plain is a flag's value as a number where it is one.
func plain(v reflect.Value) any {
	if v.CanInt() {
		return v.Int()
	}
	return v.Interface()
}

// TestSettings_Document: docs/settings.md is the table; the help of a flag has the
// range and how it changes.
func TestSettings_Document(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "settings.md")
	var want bytes.Buffer
	writeSettings(&want)
	if *update {
		if err := os.WriteFile(path, want.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Errorf("%s is not what the table says, run this test with -update: %v", path, err)
	}
	_, help, _ := tool("serve", "--help")
	help = strings.Join(strings.Fields(help), " ")
	for _, say := range []string{"(1 to 1048576; changes with a reload or the API)", "(100ms to 24h0m0s; changes", "(8 times --max-message to 1024TiB;", "(changes with a reload)", "(4KiB to 1GiB)"} {
		if !strings.Contains(help, say) {
			t.Errorf("the help of serve does not say %q", say)
		}
	}
}

// otherValues are values of the settings that change while the node runs, each another
// one than the default, as they are given and as the API has them.
var otherValues = map[string]struct {
	file string
	api  any
}{
	"max-connections": {"7", 7}, "pool-size": {"3", 3}, "inflight-bytes": {"8MiB", 8 << 20},
	"max-connects-per-address": {"600", 600}, "max-connects-per-prefix": {"601", 601}, "max-connects-per-device": {"602", 602},
	"max-connects-per-tenant": {"603", 603}, "max-connects-per-node": {"604", 604},
	"window": {"9", 9}, "window-bytes": {"2KiB", 2 << 10}, "max-rate-bytes": {"1MiB", 1 << 20}, "max-rate-messages": {"50", 50},
	"heartbeat": {"20s", "20s"}, "idle-timeout": {"2m", "2m0s"},
}

// limitsOf are the limits of a node by the names of their flags.
func limitsOf(t *testing.T, c *client.Client) map[string]api.Limit {
	t.Helper()
	list, err := c.Limits(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]api.Limit)
	for _, l := range list {
		all[strings.ReplaceAll(l.Name, "_", "-")] = l
	}
	return all
}

// TestSettings_Change: whatever changes while the node runs changes by the file and a
// reload, by the API, and back. What the API has changed, a reload leaves, and both
// say so.
func TestSettings_Change(t *testing.T) {
	file := filepath.Join(t.TempDir(), "edgeloop.yaml")
	write := func(name string) {
		t.Helper()
		text := "lanes: 8\n"
		if name != "" {
			text += name + ": " + otherValues[name].file + "\nlanes: 16\n"
			text = strings.Replace(text, "lanes: 8\n", "", 1)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("")
	r := serve(t, "--config="+file)
	c, err := remote{DataDir: r.dir}.client()
	if err != nil {
		t.Fatal(err)
	}
	reload := func() api.Reloaded {
		t.Helper()
		out, err := c.Reload(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	start := limitsOf(t, c)
	for i := range table {
		name := table[i].name
		if table[i].live == nil || !table[i].limit {
			continue
		}
		other, ok := otherValues[name]
		if !ok {
			t.Errorf("%s changes, and this test does not know to what", name)
			continue
		}
		is := func(step string, changed bool) {
			t.Helper()
			l := limitsOf(t, c)[name]
			if got := fmt.Sprint(l.Kind.JSONValue(l.Value)); got != fmt.Sprint(other.api) || l.Changed != changed {
				t.Errorf("%s %s: %s, changed %v; want %v, %v", name, step, got, l.Changed, other.api, changed)
			}
		}
		wasGiven := func(step string) {
			t.Helper()
			if l := limitsOf(t, c)[name]; l != start[name] {
				t.Errorf("%s %s: %+v, want %+v", name, step, l, start[name])
			}
		}
		write(name)
		if out := reload(); !slices.Equal(out.Changed, []string{name}) || len(out.Kept) > 0 || !slices.Equal(out.Fixed, []string{"lanes"}) {
			t.Errorf("%s: the reload says %+v", name, out)
		}
		is("by the file", false)
		write("")
		reload()
		wasGiven("after the file")
		set := func(value any) {
			t.Helper()
			if _, err := c.SetLimits(t.Context(), map[string]any{underscored(name): value}); err != nil {
				t.Fatal(err)
			}
		}
		set(other.api)
		is("by the API", true)
		if out := reload(); len(out.Changed) > 0 || !slices.Equal(out.Kept, []string{name}) {
			t.Errorf("%s: the reload says %+v", name, out)
		}
		is("after a reload", true)
		set(nil)
		wasGiven("after the API")
	}

	// What the API has changed and the file changes, too, is kept; taken back, it is
	// what the file has now.
	if _, err := c.SetLimits(t.Context(), map[string]any{"window": 5}); err != nil {
		t.Fatal(err)
	}
	write("window")
	if out := reload(); len(out.Changed) > 0 || !slices.Equal(out.Kept, []string{"window"}) {
		t.Errorf("the reload says %+v", out)
	}
	if l := limitsOf(t, c)["window"]; l.Value != 5 || l.Given != 9 || !l.Changed {
		t.Errorf("the window is %+v", l)
	}
	if _, err := c.SetLimits(t.Context(), map[string]any{"window": nil}); err != nil {
		t.Fatal(err)
	}
	if l := limitsOf(t, c)["window"]; l.Value != 9 || l.Changed {
		t.Errorf("the window is %+v", l)
	}
	if err := os.WriteFile(file, []byte("window: 11\nheartbeat: 2m\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "idle-timeout") {
		t.Errorf("a file that does not go: %v", err)
	}
	if l := limitsOf(t, c)["window"]; l.Value != 9 {
		t.Errorf("half of a file is in force: %+v", l)
	}
	r.stop(t, exitOK)
}
