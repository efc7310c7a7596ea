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
	"unicode"

	"edgeloop/backbone"
	"edgeloop/backbone/backbonetest"
	"edgeloop/sink"
)

// What a device or a destination said is shown by the verbs of sinks, and acts on no terminal.
func TestSinksCmd_Printable(t *testing.T) {
	answers := map[string]string{
		"/v1/sinks":                   "{\"sinks\":[{\"name\":\"lake\",\"last_error\":\"refused \u009b2J\u202e\"}]}",
		"/v1/sinks/lake/dead-letters": "{\"dead_letters\":[{\"number\":1,\"record\":{\"topic\":\"\u009b2J\u202e\"}}]}",
	}
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(answers[r.URL.Path])) // a short one fails below
	}))
	defer h.Close()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(strings.Repeat("0123456789abcdef", 2)), 0o600); err != nil {
		t.Fatal(err)
	}
	of := &sinksCmd{Remote: remote{AdminURL: h.URL, AdminTokenFile: token}}
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
