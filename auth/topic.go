package auth

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// CheckPatterns checks the patterns of a claim: at most 64, of 1 to 256 bytes each. As the
// topics of MQTT, names are levels between slashes; in a pattern "+" matches any one level, and
// "#" as the last level matches the level before it and everything below.
func CheckPatterns(claim string, patterns []string) error {
	if len(patterns) > maxPatterns {
		return fmt.Errorf("%s has %d patterns, allowed are up to %d", claim, len(patterns), maxPatterns)
	}
	for _, p := range patterns {
		if p == "" || len(p) > maxPattern || !utf8.ValidString(p) {
			return fmt.Errorf("%s has the pattern %q: allowed are 1 to %d bytes of UTF-8", claim, cut(p, 32), maxPattern)
		}
		for rest := p; rest != ""; {
			var level string
			var more bool
			level, rest, more = strings.Cut(rest, "/")
			if (strings.ContainsAny(level, "+#") && len(level) > 1) || (level == "#" && more) {
				return fmt.Errorf("%s has the pattern %q: + and # must be whole levels, # only the last", claim, cut(p, 64))
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
