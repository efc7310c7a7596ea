package auth

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// CheckTopics checks topic patterns: at most 64, of 1 to 256 bytes each. As in MQTT,
// topics are levels between slashes; in a pattern "+" matches any one level, and "#" as
// the last level matches the level before it and everything below.
func CheckTopics(patterns []string) error {
	if len(patterns) > maxTopics {
		return fmt.Errorf("%d topic patterns, allowed are up to %d", len(patterns), maxTopics)
	}
	for _, p := range patterns {
		if p == "" || len(p) > maxPattern || !utf8.ValidString(p) {
			return fmt.Errorf("topic pattern %q: allowed are 1 to %d bytes of UTF-8", cut(p, 32), maxPattern)
		}
		for rest := p; rest != ""; {
			var level string
			var more bool
			level, rest, more = strings.Cut(rest, "/")
			if (strings.ContainsAny(level, "+#") && len(level) > 1) || (level == "#" && more) {
				return fmt.Errorf("topic pattern %q: + and # must be whole levels, # only the last", cut(p, 64))
			}
		}
	}
	return nil
}

// topicMatches reports whether topic matches pattern. topic is not empty.
func topicMatches(pattern string, topic []byte) bool {
	for {
		want, restOfPattern, morePattern := strings.Cut(pattern, "/")
		if want == "#" {
			return true
		}
		level, restOfTopic, moreTopic := bytes.Cut(topic, slash)
		switch {
		case want != "+" && want != string(level):
			return false
		case !moreTopic:
			return !morePattern || restOfPattern == "#"
		case !morePattern:
			return false
		}
		pattern, topic = restOfPattern, restOfTopic
	}
}

// slash is never written.
var slash = []byte{'/'}
