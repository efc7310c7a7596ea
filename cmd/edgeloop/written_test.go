package main

import (
	"slices"
	"strings"
	"testing"
)

// TestConfigFile_NumbersAsText: what stands for a text is taken as it is written, though YAML
// would read it as a number; what is a number may be written as YAML has it.
func TestConfigFile_NumbersAsText(t *testing.T) {
	for _, name := range []string{"007", "1e3", "0x10", "1.50", "-0", "1_000", "0o17", "12345678901234567890123"} {
		file, err := newFileResolver("f.yaml", strings.NewReader("node: "+name+" # a comment\ntoken-issuer: [a, "+name+", \"7\"]\ntoken_audience: "+name+"\nlanes: 0x10\n"))
		if err != nil {
			t.Fatal(err)
		}
		s, err := parseServe(t, file)
		if err != nil || s.Node != name || !slices.Equal(s.TokenIssuer, []string{"a", name, "7"}) || !slices.Equal(s.TokenAudience, []string{name}) {
			t.Errorf("%s: node %q, issuers %q, audiences %q, %v", name, s.Node, s.TokenIssuer, s.TokenAudience, err)
		}
		if s.Lanes != 16 {
			t.Errorf("%d lanes, want 16", s.Lanes)
		}
	}
}
