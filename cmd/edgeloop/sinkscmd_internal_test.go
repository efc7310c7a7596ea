package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"edgeloop/backbone"
	"edgeloop/backbone/backbonetest"
	"edgeloop/sink"
)

// sinksOf is the verbs of sinks, for a node that gives these answers by their paths.
func sinksOf(t *testing.T, answers map[string]string) *sinksCmd {
	t.Helper()
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(answers[r.URL.Path])) // a short one fails the test
	}))
	t.Cleanup(h.Close)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(strings.Repeat("0123456789abcdef", 2)), 0o600); err != nil {
		t.Fatal(err)
	}
	return &sinksCmd{Remote: remote{AdminURL: h.URL, AdminTokenFile: token}}
}

// What a device or a destination said is shown by the verbs of sinks, and acts on no terminal.
func TestSinksCmd_Printable(t *testing.T) {
	of := sinksOf(t, map[string]string{
		"/v1/sinks":                   "{\"sinks\":[{\"name\":\"lake\",\"last_error\":\"refused \u009b2J\u202e\"}]}",
		"/v1/sinks/lake/dead-letters": "{\"dead_letters\":[{\"number\":1,\"record\":{\"topic\":\"\u009b2J\u202e\"}}]}",
	})
	for name, run := range map[string]func(*streams, *sinksCmd) error{
		"list":         new(sinksListCmd).Run,
		"list --json":  (&sinksListCmd{JSON: true}).Run,
		"dead-letters": (&sinksLettersCmd{Name: "lake"}).Run,
	} {
		var out bytes.Buffer
		if err := run(&streams{out: &out}, of); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if text := out.String(); !strings.Contains(text, `\u009b2J\u202e`) ||
			strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && unicode.In(r, unicode.Cc, unicode.Cf) }) {
			t.Errorf("%s shows %q", name, text)
		}
	}
}

// How far a sink is behind is listed in records, bytes and time, and what is not known as such.
func TestSinksCmd_Lag(t *testing.T) {
	since := time.Now().Add(-90 * time.Second).UTC().Format(time.RFC3339)
	of := sinksOf(t, map[string]string{"/v1/sinks": `{"sinks":[{"name":"lake","lag_records":1200,"lag_bytes":400000,"oldest":"` + since + `"},{"name":"new"}]}`})
	var out bytes.Buffer
	if err := new(sinksListCmd).Run(&streams{out: &out}, of); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	for line, want := range [][]string{{"SINK", "LAG", "BYTES", "OLDEST"}, {"lake", "1200", "391KiB", "1m3"}, {"new", "?", "?", "-"}} {
		rest := lines[line]
		for _, text := range want { // in this order
			_, behind, found := strings.Cut(rest, text)
			if !found {
				t.Fatalf("%q has no %s behind what is in front of it", lines[line], text)
			}
			rest = behind
		}
	}
}

// A page of dead letters ends with its bytes, too, and the next one goes on behind it.
func TestAdminSinks_LargeDeadLetters(t *testing.T) {
	b := backbonetest.Open(t, backbone.Config{DataDir: t.TempDir()})
	specs, err := sink.Parse([]any{map[string]any{"name": "lake", "type": "file", "dir": t.TempDir()}}, sinkKinds)
	if err != nil {
		t.Fatal(err)
	}
	set := sink.NewSet(sink.Node{Open: func(context.Context, string, backbone.Start) (sink.Reader, error) {
		return nil, errors.New("not in this test")
	}})
	if err := set.Apply(t.Context(), specs); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = set.Stop(context.Background()) }) // nothing is on its way
	large, _ := json.Marshal(strings.Repeat("x", 2<<20))
	for n := range uint64(4) {
		if err := b.Letters().Bury(t.Context(), backbone.Letter{Sink: "lake", Position: n + 1, Record: large}); err != nil {
			t.Fatal(err)
		}
	}
	a := adminSinks{&node{backbone: b, sinks: set}}
	page, err := a.DeadLetters(t.Context(), "lake", 0, 1000)
	if err != nil || len(page.DeadLetters) != 2 || page.Next != "2" {
		t.Errorf("the first page has %d, next %q, %v", len(page.DeadLetters), page.Next, err)
	}
	page, err = a.DeadLetters(t.Context(), "lake", 2, 1000)
	if err != nil || len(page.DeadLetters) != 2 || page.Next != "" {
		t.Errorf("the second page has %d, next %q, %v", len(page.DeadLetters), page.Next, err)
	}
}
