package auth_test

import (
	"strings"
	"testing"

	"edgeloop/auth"
)

func TestCheckName(t *testing.T) {
	for _, name := range []string{"a", "A.b_c:d@e-9", "...", strings.Repeat("x", 128)} {
		if err := auth.CheckName("device", name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"", ".", "..", "a b", "a/b", "a*", "a>", "ä", "a\x00", strings.Repeat("x", 129)} {
		err := auth.CheckName("device", name)
		if err == nil || !strings.Contains(err.Error(), "allowed") || !strings.Contains(err.Error(), "device") {
			t.Errorf("%q: the error must name the kind and say what is allowed, got %v", name, err)
		}
	}
}

func TestTopics_Allow(t *testing.T) {
	tests := []struct {
		pattern string
		matches []string
		others  []string
	}{
		{"temp", []string{"temp"}, []string{"", "temp/1", "tem", "Temp", "temp/"}},
		{"+", []string{"temp"}, []string{"", "a/b", "/a"}},
		{"a/+/c", []string{"a/b/c", "a//c"}, []string{"a/c", "a/b/c/d", "a/b", "x/b/c"}},
		{"a/#", []string{"a", "a/b", "a/b/c", "a/"}, []string{"ab", "b/a"}},
		{"+/b/#", []string{"a/b", "x/b/c/d"}, []string{"a", "a/c"}},
		{"#", []string{"", "a", "a/b"}, nil},
	}
	for _, tt := range tests {
		allowed := &auth.Patterns{"never", tt.pattern}
		for _, topic := range tt.matches {
			if !allowed.Allow([]byte(topic)) {
				t.Errorf("%q does not match %q", tt.pattern, topic)
			}
		}
		for _, topic := range tt.others {
			if allowed.Allow([]byte(topic)) {
				t.Errorf("%q matches %q", tt.pattern, topic)
			}
		}
	}
	if !(*auth.Patterns)(nil).Allow(nil) {
		t.Error("no patterns must allow all")
	}
	if (&auth.Patterns{}).Allow([]byte("a")) {
		t.Error("an empty list of patterns must allow nothing")
	}
	for _, pattern := range []string{"", "a#", "#/a", "a/+b", "++", strings.Repeat("x", 257), "\xff"} {
		if auth.CheckPatterns("topics", []string{pattern}) == nil {
			t.Errorf("CheckPatterns took %q", pattern)
		}
	}
	if auth.CheckPatterns("topics", make([]string, 65)) == nil {
		t.Error("CheckPatterns took 65 patterns")
	}
}
