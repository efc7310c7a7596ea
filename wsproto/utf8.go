package wsproto

import "unicode/utf8"

// validUTF8 checks text that may continue. n is its length without an incomplete character
// at the end, which has at most three bytes. ok is false as soon as no continuation can
// make the text valid. [RFC6455 8.1]
func validUTF8(text []byte) (n int, ok bool) {
	n = len(text)
	for i := n - 1; i >= 0 && i >= n-(utf8.UTFMax-1); i-- {
		if utf8.RuneStart(text[i]) {
			// FullRune calls an invalid beginning full, because nothing can complete it;
			// Valid then refuses it.
			if !utf8.FullRune(text[i:]) {
				n = i
			}
			break
		}
	}
	return n, utf8.Valid(text[:n])
}
