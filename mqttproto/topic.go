package mqttproto

import (
	"strings"
	"unicode/utf8"
)

// Text is a topic name or filter, or the value of a property.
type Text interface{ ~string | ~[]byte }

// SharePrefix begins the filter of a shared subscription: $share/GROUP/FILTER.
const SharePrefix = "$share/"

// CheckName checks a topic name; it may be in any position but that behind a topic alias,
// where it may be empty. A name is compared byte by byte, never normalised. [MQTT-4.7.3-4]
func CheckName[T Text](name T) error {
	if fault := checkName(name); fault != nil {
		return fault
	}
	return nil
}

func checkName[T Text](name T) *Error {
	if len(name) > maxString || !validText(name) { // [MQTT-3.3.2-1] [MQTT-4.7.3-2] [MQTT-4.7.3-3]
		return ErrTopic
	}
	return checkNameText(name)
}

// checkNameText is checkName for what is text already.
func checkNameText[T Text](name T) *Error {
	switch {
	case len(name) == 0:
		return ErrTopicEmpty // [MQTT-4.7.3-1]
	case hasWildcard(name): // [MQTT-3.3.2-2] [MQTT-4.7.0-1]
		return ErrTopicWild
	}
	return nil
}

// CheckFilter checks a topic filter, with $share/GROUP/ before it or not.
func CheckFilter[T Text](filter T) error {
	if fault := checkFilter(filter); fault != nil {
		return fault
	}
	return nil
}

func checkFilter[T Text](filter T) *Error {
	if len(filter) > maxString || !validText(filter) { // [MQTT-3.8.3-1] [MQTT-4.7.3-2] [MQTT-4.7.3-3]
		return ErrFilter
	}
	return checkFilterText(filter)
}

// checkFilterText is checkFilter for what is text already.
func checkFilterText[T Text](filter T) *Error {
	if len(filter) >= len(SharePrefix) && string(filter[:len(SharePrefix)]) == SharePrefix {
		rest := filter[len(SharePrefix):]
		name := level(rest)
		switch {
		case name == 0:
			return ErrShareName // [MQTT-4.8.2-1]
		case hasWildcard(rest[:name]) || name+1 >= len(rest):
			return ErrShareFilter // [MQTT-4.8.2-2]
		}
		filter = rest[name+1:]
	}
	if len(filter) == 0 {
		return ErrFilterEmpty // [MQTT-4.7.3-1]
	}
	return checkLevels(filter)
}

// checkLevels checks that each wildcard is a level by itself.
func checkLevels[T Text](filter T) *Error {
	for {
		n := level(filter)
		for i := range n {
			switch {
			case filter[i] == '#' && (n > 1 || n < len(filter)): // [MQTT-4.7.1-1]
				return ErrFilterHash
			case filter[i] == '+' && n > 1: // [MQTT-4.7.1-2]
				return ErrFilterPlus
			}
		}
		if n == len(filter) {
			return nil
		}
		filter = filter[n+1:]
	}
}

// SplitShare takes a checked filter apart: the group of a shared subscription, empty if it
// is none, and the filter that names are matched with. Both are parts of filter.
func SplitShare[T Text](filter T) (group, rest T) {
	if len(filter) < len(SharePrefix) || string(filter[:len(SharePrefix)]) != SharePrefix {
		return group, filter
	}
	rest = filter[len(SharePrefix):]
	n := level(rest)
	if n == len(rest) {
		return group, filter
	}
	return rest[:n], rest[n+1:]
}

// Match says whether a topic name matches a filter. Both have been checked, and the filter
// has no $share/GROUP/ before it (SplitShare).
func Match[F, N Text](filter F, name N) bool {
	if len(name) > 0 && name[0] == '$' && (len(filter) == 0 || filter[0] != '$') {
		return false // [MQTT-4.7.2-1]
	}
	for {
		f, n := level(filter), level(name)
		switch {
		case f == 1 && filter[0] == '#':
			return true
		case f == 1 && filter[0] == '+':
		case f != n || string(filter[:f]) != string(name[:n]):
			return false
		}
		switch fEnd, nEnd := f == len(filter), n == len(name); {
		case fEnd && nEnd:
			return true
		case fEnd:
			return false
		case nEnd: // "a/#" matches "a" too
			return string(filter[f:]) == "/#"
		}
		filter, name = filter[f+1:], name[n+1:]
	}
}

// level is the length of the first level of s.
func level[T Text](s T) int {
	for i := range len(s) {
		if s[i] == '/' {
			return i
		}
	}
	return len(s)
}

func hasWildcard[T Text](s T) bool {
	for i := range len(s) {
		if s[i] == '+' || s[i] == '#' {
			return true
		}
	}
	return false
}

func validText[T Text](s T) bool {
	switch s := any(s).(type) {
	case []byte:
		return ValidText(s)
	case string:
		return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0
	}
	return ValidText([]byte(s))
}
