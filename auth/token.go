package auth

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
)

// checkSignature takes a token apart, and returns its claims as JSON once one
// of the keys has confirmed them. What is not signed is never interpreted,
// except for the header.
func checkSignature(keys []key, token []byte) (payload []byte, err error) {
	header, rest, ok := bytes.Cut(token, []byte{'.'})
	if !ok {
		return nil, ErrMalformed
	}
	claims, sealed, ok := bytes.Cut(rest, []byte{'.'})
	if !ok || bytes.IndexByte(sealed, '.') >= 0 {
		return nil, ErrMalformed
	}
	algorithm, err := algorithmOf(header)
	if err != nil {
		return nil, err
	}
	signature, err := decodeSegment(sealed)
	if err != nil {
		return nil, err
	}
	if payload, err = decodeSegment(claims); err != nil {
		return nil, err
	}
	signed := token[:len(header)+1+len(claims)]
	known := false
	for i := range keys {
		if keys[i].algorithm != algorithm {
			continue
		}
		if keys[i].matches(signed, signature) {
			return payload, nil
		}
		known = true
	}
	if !known {
		return nil, fmt.Errorf("%w: %q", ErrAlgorithm, cut(algorithm, 16))
	}
	return nil, ErrSignature
}

// algorithmOf reads the header of a token, still in base64.
func algorithmOf(header []byte) (string, error) {
	b, err := decodeSegment(header)
	if err != nil {
		return "", err
	}
	if string(b) == `{"alg":"HS256","typ":"JWT"}` { // nearly all of them
		return "HS256", nil
	}
	var members claimSet
	if err := json.Unmarshal(b, &members); err != nil {
		return "", fmt.Errorf("%w: header: %w", ErrMalformed, err)
	}
	if _, critical := members["crit"]; critical { // RFC 7515 4.1.11
		return "", fmt.Errorf("%w: header asks for extensions (crit)", ErrMalformed)
	}
	algorithm, ok := members["alg"].(string)
	if !ok {
		return "", fmt.Errorf("%w: header has no algorithm", ErrMalformed)
	}
	return algorithm, nil
}

// decodeSegment decodes one part of a token.
func decodeSegment(b []byte) ([]byte, error) {
	// The base64 package passes over line breaks; RFC 7515 has none.
	if bytes.ContainsAny(b, "\r\n") {
		return nil, ErrMalformed
	}
	out := make([]byte, base64.RawURLEncoding.DecodedLen(len(b)))
	n, err := base64.RawURLEncoding.Strict().Decode(out, b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return out[:n], nil
}

func cut(s string, n int) string {
	if len(s) > n {
		return s[:n] + "…"
	}
	return s
}
