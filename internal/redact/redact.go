package redact

import "strings"

// URL is a URL, or a list of them, or any text that may hold some, without what stands
// before the last @: a name and a password, and other hosts of a list with them. It need
// not be a URL that can be parsed; one whose password was not escaped cannot.
func URL(text string) string {
	at := strings.LastIndexByte(text, '@')
	if at < 0 {
		return text
	}
	scheme, _, ok := strings.Cut(text[:at], "://")
	if !ok {
		return "…" + text[at:]
	}
	return scheme + "://…" + text[at:]
}
