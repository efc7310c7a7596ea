package backbone

import (
	"errors"
	"fmt"
	"strings"
)

const (
	upPrefix       = "edgeloop.up."
	downPrefix     = "edgeloop.down."
	presencePrefix = "edgeloop.presence."
	banPrefix      = "edgeloop.ban."
	syncPrefix     = "edgeloop.sync."
)

var errEmptyName = errors.New("backbone: tenant and device must not be empty")

const upperHex = "0123456789ABCDEF"

// plainByte says whether a byte of a name stands for itself in a subject token.
// '=' does not: it opens an escape.
func plainByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		c == '-' || c == '_' || c == ':' || c == '@'
}

// appendToken appends name as one subject token: other bytes become "=XX".
// Different names give different tokens, so no device can write to or read
// another one's subject by a choice of name.
func appendToken(dst []byte, name string) []byte {
	for i := 0; i < len(name); i++ {
		if c := name[i]; plainByte(c) {
			dst = append(dst, c)
		} else {
			dst = append(dst, '=', upperHex[c>>4], upperHex[c&15])
		}
	}
	return dst
}

func appendSubject(dst []byte, prefix, tenant, device string) []byte {
	dst = append(dst, prefix...)
	dst = appendToken(dst, tenant)
	dst = append(dst, '.')
	return appendToken(dst, device)
}

func subjectOf(prefix, tenant, device string) (string, error) {
	if tenant == "" || device == "" {
		return "", errEmptyName
	}
	return string(appendSubject(nil, prefix, tenant, device)), nil
}

// namesIn is the inverse of subjectOf.
func namesIn(prefix, subject string) (tenant, device string, err error) {
	rest, ok := strings.CutPrefix(subject, prefix)
	t, d, ok2 := strings.Cut(rest, ".")
	if !ok || !ok2 || strings.Contains(d, ".") {
		return "", "", fmt.Errorf("backbone: subject %q is not %sTENANT.DEVICE", subject, prefix)
	}
	if tenant, err = nameIn(t); err != nil {
		return "", "", err
	}
	device, err = nameIn(d)
	return tenant, device, err
}

func nameIn(token string) (string, error) {
	if strings.IndexByte(token, '=') < 0 && token != "" {
		return token, nil
	}
	var b strings.Builder
	for i := 0; i < len(token); i++ {
		if token[i] != '=' {
			b.WriteByte(token[i])
			continue
		}
		if i+2 >= len(token) {
			return "", fmt.Errorf("backbone: subject token %q ends within an escape", token)
		}
		hi, lo := strings.IndexByte(upperHex, token[i+1]), strings.IndexByte(upperHex, token[i+2])
		if hi < 0 || lo < 0 {
			return "", fmt.Errorf("backbone: subject token %q holds a bad escape", token)
		}
		b.WriteByte(byte(hi<<4 | lo))
		i += 2
	}
	if b.Len() == 0 {
		return "", errEmptyName
	}
	return b.String(), nil
}

// filterOf is the subject filter for a tenant and a device; "" means all.
func filterOf(prefix, tenant, device string) string {
	f := append(make([]byte, 0, 64), prefix...)
	if tenant == "" {
		f = append(f, '*')
	} else {
		f = appendToken(f, tenant)
	}
	f = append(f, '.')
	if device == "" {
		f = append(f, '*')
	} else {
		f = appendToken(f, device)
	}
	return string(f)
}
