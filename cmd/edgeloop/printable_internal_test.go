package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode"
)

// Nothing that a device puts into a string acts on the terminal it is shown on, and
// the JSON stays what it was.
func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		`{"a":"é 21.5 °C 你好"}`:          `{"a":"é 21.5 °C 你好"}`,
		"\"\u009b2J\u0085\u007f\"":      `"\u009b2J\u0085\u007f"`,
		"\"\u202e\u2066\u2028\ufeff\"":  `"\u202e\u2066\u2028\ufeff"`,
		"\"\U000e0041\"":                `"\udb40\udc41"`,
		"\"\xff\xc2\"":                  `"\ufffd\ufffd"`,
		"{\"data\":\"\\u001b[2J\"}\n17": "{\"data\":\"\\u001b[2J\"}\n17",
	} {
		var out bytes.Buffer
		if n, err := (printable{&out}).Write([]byte(in)); n != len(in) || err != nil {
			t.Errorf("%q: wrote %d, %v", in, n, err)
		}
		if out.String() != want {
			t.Errorf("%q is shown as %q, want %q", in, out.String(), want)
		}
		var before, after any
		if json.Unmarshal([]byte(in), &before) == nil && (json.Unmarshal(out.Bytes(), &after) != nil || before != nil && !jsonEqual(before, after)) {
			t.Errorf("%q became other JSON: %q", in, out.String())
		}
		if strings.ContainsFunc(out.String(), func(r rune) bool { return r != '\n' && unicode.IsControl(r) }) {
			t.Errorf("%q holds a control character", out.String())
		}
	}
}

func jsonEqual(a, b any) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return bytes.Equal(x, y)
}
