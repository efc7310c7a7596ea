package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
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
