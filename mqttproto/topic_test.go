package mqttproto_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"edgeloop/mqttproto"
)

func TestCheckName(t *testing.T) {
	for name, want := range map[string]error{
		"a": nil, "/": nil, "a//b": nil, "$SYS/x": nil, " ": nil, strings.Repeat("x", 65_535): nil,
		"":    mqttproto.ErrTopicEmpty,                             // [MQTT-4.7.3-1]
		"a/+": mqttproto.ErrTopicWild, "#": mqttproto.ErrTopicWild, // [MQTT-4.7.0-1]
		"a\x00": mqttproto.ErrTopic, "\xc0\x80": mqttproto.ErrTopic, // [MQTT-4.7.3-2]
		strings.Repeat("x", 65_536): mqttproto.ErrTopic, // [MQTT-4.7.3-3]
	} {
		if err := mqttproto.CheckName(name); !errors.Is(err, want) {
			t.Errorf("%.20q: %v, want %v", name, err, want)
		}
		if err := mqttproto.CheckName([]byte(name)); !errors.Is(err, want) {
			t.Errorf("bytes %.20q: %v, want %v", name, err, want)
		}
	}
}

func TestCheckFilter(t *testing.T) {
	for filter, want := range map[string]error{
		"a": nil, "#": nil, "+": nil, "/": nil, "a/#": nil, "+/+/a": nil, "+/#": nil, "/+": nil, "$share/g/#": nil, "$share/g//": nil,
		"$share": nil, "$shared/#": nil, "": mqttproto.ErrFilterEmpty,
		"#/a": mqttproto.ErrFilterHash, "a/b#": mqttproto.ErrFilterHash, "##": mqttproto.ErrFilterHash, "a/#/": mqttproto.ErrFilterHash, // [MQTT-4.7.1-1]
		"a+": mqttproto.ErrFilterPlus, "++": mqttproto.ErrFilterPlus, "a/+b": mqttproto.ErrFilterPlus, // [MQTT-4.7.1-2]
		"$share/": mqttproto.ErrShareName, "$share//": mqttproto.ErrShareName, // [MQTT-4.8.2-1]
		"$share/g": mqttproto.ErrShareFilter, "$share/g/": mqttproto.ErrShareFilter, "$share/+/a": mqttproto.ErrShareFilter, // [MQTT-4.8.2-2]
		"$share/g/a#": mqttproto.ErrFilterHash, "a\x00": mqttproto.ErrFilter, // [MQTT-4.7.3-2]
		strings.Repeat("x", 65_536): mqttproto.ErrFilter, // [MQTT-4.7.3-3]
	} {
		if err := mqttproto.CheckFilter(filter); !errors.Is(err, want) {
			t.Errorf("%.20q: %v, want %v", filter, err, want)
		}
	}
}

// The examples of the specification, and what they leave open.
func TestMatch(t *testing.T) {
	for _, c := range []struct {
		filter, name string
		want         bool
	}{
		{"sport/tennis/player1/#", "sport/tennis/player1", true},
		{"sport/tennis/player1/#", "sport/tennis/player1/ranking", true},
		{"sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true},
		{"sport/#", "sport", true},
		{"sport/#", "sports", false},
		{"sport/tennis/+", "sport/tennis/player1", true},
		{"sport/tennis/+", "sport/tennis/player1/ranking", false},
		{"sport/+", "sport", false},
		{"sport/+", "sport/", true},
		{"+/+", "/finance", true},
		{"/+", "/finance", true},
		{"+", "/finance", false},
		{"#", "a/b", true},
		{"+/tennis/#", "sport/tennis", true},
		{"a", "A", false}, // [MQTT-4.7.3-4]
		{"a/", "a", false},
		{"a", "a/", false},
		{"\u00e9", "e\u0301", false}, // [MQTT-4.7.3-4]
		{"#", "$SYS/x", false},       // [MQTT-4.7.2-1]
		{"+/x", "$SYS/x", false},     // [MQTT-4.7.2-1]
		{"$SYS/#", "$SYS/x", true},
		{"$SYS/+", "$SYS/x", true},
		{"a/#", "a/$b", true},
		{"+", "a$", true},
	} {
		if got := mqttproto.Match(c.filter, c.name); got != c.want {
			t.Errorf("%q, %q: %v", c.filter, c.name, got)
		}
		if got := mqttproto.Match([]byte(c.filter), c.name); got != c.want {
			t.Errorf("bytes %q, %q: %v", c.filter, c.name, got)
		}
	}
}

func TestSplitShare(t *testing.T) {
	for in, want := range map[string][2]string{
		"a/b": {"", "a/b"}, "$share/g/a/b": {"g", "a/b"}, "$share/g//": {"g", "/"}, "$shared/g/a": {"", "$shared/g/a"},
	} {
		if group, rest := mqttproto.SplitShare(in); group != want[0] || rest != want[1] {
			t.Errorf("%q: %q, %q", in, group, rest)
		}
	}
}

// Matching is what a regular expression says that is made of the filter.
func TestMatch_Model(t *testing.T) {
	level := rapid.SampledFrom([]string{"", "a", "b", "$a", "é"})
	wild := rapid.SampledFrom([]string{"", "a", "b", "$a", "é", "+", "+", "#"})
	rapid.Check(t, func(t *rapid.T) {
		name := strings.Join(rapid.SliceOfN(level, 1, 4).Draw(t, "name"), "/")
		filter := strings.Join(rapid.SliceOfN(wild, 1, 4).Draw(t, "filter"), "/")
		if mqttproto.CheckName(name) != nil || mqttproto.CheckFilter(filter) != nil {
			t.Skip()
		}
		expr := strings.ReplaceAll(regexp.QuoteMeta(filter), `\+`, `[^/]*`)
		if head, all := strings.CutSuffix(expr, "/#"); all {
			expr = head + "(/.*)?"
		}
		want := regexp.MustCompile("^(" + strings.ReplaceAll(expr, "#", ".*") + ")$").MatchString(name)
		if name[0] == '$' && strings.ContainsAny(filter[:1], "+#") {
			want = false
		}
		if got := mqttproto.Match(filter, name); got != want {
			t.Errorf("%q, %q: %v, want %v", filter, name, got, want)
		}
	})
}
