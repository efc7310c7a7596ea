package wsproto

import "bytes"

// One bit for each token character, below 64 and from 64 on. RFC 9110 section 5.6.2.
const (
	tokenLow = 1<<'!' | 1<<'#' | 1<<'$' | 1<<'%' | 1<<'&' | 1<<'\'' | 1<<'*' | 1<<'+' | 1<<'-' | 1<<'.' |
		(1<<10-1)<<'0'
	tokenHigh = (1<<26-1)<<('A'-64) | (1<<26-1)<<('a'-64) |
		1<<('^'-64) | 1<<('_'-64) | 1<<('`'-64) | 1<<('|'-64) | 1<<('~'-64)
)

// isToken reports whether c may be part of a token: a method, the name of a
// header field, a subprotocol.
func isToken(c byte) bool {
	mask := uint64(tokenLow)
	if c >= 64 {
		mask = tokenHigh
	}
	return c < 128 && mask>>(c&63)&1 != 0
}

// tokenLen is the number of token characters at the front of b.
func tokenLen(b []byte) int {
	for i, c := range b {
		if !isToken(c) {
			return i
		}
	}
	return len(b)
}

// equalFold reports whether b is word in any case. word is ASCII.
func equalFold(b []byte, word string) bool {
	if len(b) != len(word) {
		return false
	}
	for i, c := range b {
		if lower(c) != lower(word[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c |= 'a' - 'A'
	}
	return c
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' }

// trim cuts white space off both ends of b.
func trim(b []byte) []byte {
	for len(b) > 0 && isSpace(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isSpace(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

// cutLine splits b after its first line and returns the line without its end.
// Only CR LF ends a line: at a lone LF or CR, two programs on the way can disagree about
// the end of a header, and that is how requests are smuggled.
func cutLine(b []byte) (line, rest []byte, ok bool) {
	i := bytes.IndexByte(b, '\n')
	if i < 1 || b[i-1] != '\r' {
		return nil, nil, false
	}
	return b[:i-1], b[i+1:], true
}

// cutField splits a header line at its colon. It refuses control bytes in the value and a
// name that is not a token, which includes white space before the colon and a folded line
// (one that begins with white space).
func cutField(line []byte) (name, value []byte, ok bool) {
	n := tokenLen(line)
	if n == 0 || n == len(line) || line[n] != ':' {
		return nil, nil, false
	}
	value = line[n+1:]
	for _, c := range value {
		if c < ' ' && c != '\t' || c == 0x7f {
			return nil, nil, false
		}
	}
	return line[:n], trim(value), true
}

// FindHeaderBlock finds the end of the header block at the front of b. n is its length with the
// blank line, or 0 while more bytes are needed. err is a *Refusal as soon as no further
// bytes can make the block acceptable.
func FindHeaderBlock(b []byte, cfg *HandshakeConfig) (n int, err error) {
	maxBytes, maxHeaders := cfg.bounds()
	if len(b) > 0 && !isToken(b[0]) {
		return 0, errRequestLine // a TLS hello, or noise: do not wait for 8 KiB of it
	}
	seen := b[:min(len(b), maxBytes)]
	for lines := 0; ; lines++ {
		i := bytes.IndexByte(seen[n:], '\n')
		if i < 0 {
			break
		}
		if i == 0 || seen[n+i-1] != '\r' {
			return 0, errBareLF
		}
		n += i + 1
		if i == 1 {
			return n, nil
		}
		if lines > maxHeaders { // the first line is the request line
			return 0, errTooManyHeaders
		}
	}
	if len(seen) == maxBytes {
		return 0, errHeaderTooLarge
	}
	return 0, nil
}
