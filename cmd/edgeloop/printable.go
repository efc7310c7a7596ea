package main

import (
	"io"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// printable passes on lines of JSON with everything escaped that could act on a
// terminal instead of being shown: devices choose what their strings hold. What it
// writes is the same JSON, so it does not matter whether a terminal reads it.
type printable struct {
	to io.Writer
}

// Write implements io.Writer. b is borrowed until return.
func (p printable) Write(b []byte) (int, error) {
	if _, err := p.to.Write(appendPrintable(make([]byte, 0, len(b)), b)); err != nil {
		return 0, err //nolint:wrapcheck // the writer's own
	}
	return len(b), nil
}

// appendPrintable appends JSON text with control characters (of which \n stays, for
// it ends the line), marks of direction and the like, and what is not UTF-8 as \u
// escapes. In JSON they can only stand inside of strings.
func appendPrintable(dst, text []byte) []byte {
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		switch {
		case r == utf8.RuneError && n == 1, r != '\n' && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp):
			if hi, lo := utf16.EncodeRune(r); r > 0xffff {
				dst = appendEscape(appendEscape(dst, hi), lo)
			} else {
				dst = appendEscape(dst, r)
			}
		default:
			dst = append(dst, text[:n]...)
		}
		text = text[n:]
	}
	return dst
}

func appendEscape(dst []byte, r rune) []byte {
	const hex = "0123456789abcdef"
	return append(dst, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
}
