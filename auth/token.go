package auth

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
)

// token is a token split into its parts. Only the header is interpreted before a key has
// confirmed the signature.
type token struct {
	algorithm string
	kid       string // which key the header names, or ""
	signed    []byte // header and claims, still in base64
	signature []byte
	payload   []byte // the claims as JSON
}

// parseToken splits a token. What it decodes lies in room, or in a larger one where that
// is too small: t is good until room is used again.
func parseToken(b, room []byte) (t token, err error) {
	header, rest, ok := bytes.Cut(b, dot)
	if !ok {
		return t, ErrMalformed
	}
	claims, sealed, ok := bytes.Cut(rest, dot)
	if !ok || bytes.IndexByte(sealed, '.') >= 0 {
		return t, ErrMalformed
	}
	if t.algorithm, t.kid, err = readHeader(header); err != nil {
		return t, err
	}
	room = slices.Grow(room[:0], len(b)) // both fit, so neither moves
	if t.signature, err = appendSegment(room, sealed); err != nil {
		return t, err
	}
	t.signed = b[:len(header)+1+len(claims)]
	t.payload, err = appendSegment(t.signature[len(t.signature):], claims)
	return t, err
}

// dot is never written.
var dot = []byte{'.'}

// strict refuses bits that say nothing: each token has one form.
var strict = base64.RawURLEncoding.Strict()

// checkSignature returns nil once one of the keys has confirmed the signature. If the
// header names one of our keys, only that one is tried. Otherwise the nameless keys of the
// public key file are; they are few, because each costs a check and a bad token costs its
// sender nothing. A key of a set is tried for a token that names none where no other of
// the set fits.
func (t *token) checkSignature(keys []key) error {
	known, named, lone := false, t.named(keys), t.kid == "" && t.fitting(keys) == 1
	for i := range keys {
		k := &keys[i]
		if k.algorithm != t.algorithm {
			continue
		}
		known = true
		switch {
		case named && !k.is(t.algorithm, t.kid):
			continue
		case !named && k.set && !lone:
			continue
		case !named && !k.set && k.name != "":
			continue
		}
		if k.matches(t.signed, t.signature) {
			return nil
		}
	}
	if !known {
		return fmt.Errorf("%w: %q", ErrAlgorithm, cut(t.algorithm, 16))
	}
	return ErrSignature
}

// named reports whether the header names one of the keys.
func (t *token) named(keys []key) bool {
	return t.kid != "" && slices.ContainsFunc(keys, func(k key) bool { return k.is(t.algorithm, t.kid) })
}

// fitting is how many keys of sets are for the token's algorithm.
func (t *token) fitting(keys []key) (n int) {
	for i := range keys {
		if keys[i].set && keys[i].algorithm == t.algorithm {
			n++
		}
	}
	return n
}

// readHeader reads the header of a token, still in base64.
func readHeader(header []byte) (algorithm, kid string, err error) {
	switch string(header) { // {"alg":"…","typ":"JWT"}, nearly all of them
	case "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9":
		return algorithmHS256, "", nil
	case "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9":
		return "ES256", "", nil
	case "eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCJ9":
		return "EdDSA", "", nil
	case "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9":
		return "RS256", "", nil
	}
	b, err := appendSegment(nil, header)
	if err != nil {
		return "", "", err
	}
	var members claimSet
	if err := json.Unmarshal(b, &members); err != nil {
		return "", "", fmt.Errorf("%w: header: %w", ErrMalformed, err)
	}
	if _, critical := members["crit"]; critical { // RFC 7515 4.1.11
		return "", "", fmt.Errorf("%w: header asks for extensions (crit)", ErrMalformed)
	}
	algorithm, ok := members["alg"].(string)
	if !ok {
		return "", "", fmt.Errorf("%w: header has no algorithm", ErrMalformed)
	}
	if name, there := members["kid"]; there {
		if kid, ok = name.(string); !ok { // [RFC7515 4.1.4]
			return "", "", fmt.Errorf("%w: header has a kid that is not a string", ErrMalformed)
		}
	}
	return algorithm, kid, nil
}

// appendSegment decodes one part of a token.
func appendSegment(dst, b []byte) ([]byte, error) {
	// The base64 package skips line breaks; RFC 7515 has none.
	if bytes.ContainsAny(b, "\r\n") {
		return nil, ErrMalformed
	}
	out, err := strict.AppendDecode(dst, b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return out, nil
}

func cut(s string, n int) string {
	if len(s) > n {
		return s[:n] + "…"
	}
	return s
}

// Claimed is whom a token names, which nobody has confirmed: only for people to read. ok
// is false where it names nobody who could be. b is borrowed until return.
func Claimed(b []byte) (tenant, device string, ok bool) {
	t, err := parseToken(b, nil)
	if err != nil {
		return "", "", false
	}
	var members claimSet
	if json.Unmarshal(t.payload, &members) != nil {
		return "", "", false
	}
	tenant = DefaultTenant
	if members.text("sub", &device) != nil || members.text("tenant", &tenant) != nil ||
		CheckName("device", device) != nil || CheckName("tenant", tenant) != nil {
		return "", "", false
	}
	return tenant, device, true
}
