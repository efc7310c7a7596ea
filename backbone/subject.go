package backbone

import "errors"

const (
	upPrefix       = "edgeloop.up."
	downPrefix     = "edgeloop.down."
	presencePrefix = "edgeloop.presence."
	banPrefix      = "edgeloop.ban."
	syncPrefix     = "edgeloop.sync."
	nodePrefix     = "edgeloop.node."
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
