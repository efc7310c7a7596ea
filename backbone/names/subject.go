package names

import (
	"crypto/sha256"
	"errors"
	"strconv"
	"strings"
)

// Names of the streams, as NATS' own tools show them.
const (
	StreamUp       = "EDGELOOP_UP"
	StreamDown     = "EDGELOOP_DOWN"
	StreamPresence = "EDGELOOP_PRESENCE"
	StreamBans     = "EDGELOOP_BANS"
	StreamPlaces   = "EDGELOOP_PLACES"
	StreamDead     = "EDGELOOP_DEAD"
	StreamRevoked  = "EDGELOOP_REVOKED"
	StreamWills    = "EDGELOOP_WILLS"
	StreamRetained = "EDGELOOP_RETAINED"
)

// Beside returns the names of the streams beside the log.
func Beside() []string {
	return []string{StreamDown, StreamPresence, StreamBans, StreamPlaces, StreamDead, StreamRevoked, StreamWills, StreamRetained}
}

// Prefixes of subjects.
const (
	Up       = "edgeloop.up."
	Down     = "edgeloop.down."
	Presence = "edgeloop.presence."
	Ban      = "edgeloop.ban."
	Sync     = "edgeloop.sync."
	Node     = "edgeloop.node."
	Place    = "edgeloop.place."
	Dead     = "edgeloop.dead."
	Revoked  = "edgeloop.revoked."
	Will     = "edgeloop.will."
	Retained = "edgeloop.retained."
)

// ErrEmpty says that a record or a command names no tenant or no device.
var ErrEmpty = errors.New("backbone: tenant and device must not be empty")

const upperHex = "0123456789ABCDEF"

// plainByte says whether a byte of a name stands for itself in a subject token. '=' does
// not, because it opens an escape.
func plainByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		c == '-' || c == '_' || c == ':' || c == '@'
}

// AppendToken appends name as one subject token: other bytes become "=XX".
// Different names give different tokens, so no choice of a name lets a device write to or
// read the subject of another.
func AppendToken(dst []byte, name string) []byte {
	for i := 0; i < len(name); i++ {
		from := i
		for i < len(name) && plainByte(name[i]) {
			i++
		}
		if dst = append(dst, name[from:i]...); i == len(name) {
			break
		}
		dst = append(dst, '=', upperHex[name[i]>>4], upperHex[name[i]&15])
	}
	return dst
}

// AppendSubject appends the subject of a device.
func AppendSubject(dst []byte, prefix, tenant, device string) []byte {
	dst = append(dst, prefix...)
	dst = AppendToken(dst, tenant)
	dst = append(dst, '.')
	return AppendToken(dst, device)
}

// Subject returns the subject of a device, or ErrEmpty if it or its tenant has no name.
func Subject(prefix, tenant, device string) (string, error) {
	if tenant == "" || device == "" {
		return "", ErrEmpty
	}
	return string(AppendSubject(nil, prefix, tenant, device)), nil
}

// Split undoes Subject; ok is false for a subject that Subject never makes.
func Split(subject, prefix string) (tenant, device string, ok bool) {
	rest, ours := strings.CutPrefix(subject, prefix)
	first, second, two := strings.Cut(rest, ".")
	tenant, ok1 := nameOf(first)
	device, ok2 := nameOf(second)
	return tenant, device, ours && two && ok1 && ok2
}

// Name returns the one name behind a prefix; ok is false for a subject that AppendToken never makes.
func Name(subject, prefix string) (name string, ok bool) {
	rest, ours := strings.CutPrefix(subject, prefix)
	name, ok = nameOf(rest)
	return name, ours && ok
}

// nameOf undoes AppendToken.
func nameOf(token string) (string, bool) {
	if !strings.Contains(token, "=") {
		return token, token != "" && !strings.Contains(token, ".")
	}
	name := make([]byte, 0, len(token))
	for i := 0; i < len(token); i++ {
		c := token[i]
		if c == '=' {
			if i+3 > len(token) {
				return "", false
			}
			n, err := strconv.ParseUint(token[i+1:i+3], 16, 8)
			if err != nil {
				return "", false
			}
			c, i = byte(n), i+2
		}
		name = append(name, c)
	}
	return string(name), true
}

// events is the token in the place of a device under which the events of a tenant's devices are.
// AppendToken never makes it.
const events = "=events"

// AppendEvents appends the subject of the events of a tenant's devices. It is one for all of
// them: a device that is named in an event has no subject by that.
func AppendEvents(dst []byte, tenant string) []byte {
	dst = append(dst, Up...)
	dst = AppendToken(dst, tenant)
	return append(dst, "."+events...)
}

// IsEvents says whether a subject is one of AppendEvents.
func IsEvents(subject string) bool { return strings.HasSuffix(subject, "."+events) }

// EventsFilter returns the subject filter for the events of a tenant; "" means all.
func EventsFilter(tenant string) string {
	if tenant == "" {
		return Up + "*." + events
	}
	return string(AppendEvents(nil, tenant))
}

// Filter returns the subject filter for a tenant and a device; "" means all. All devices are
// with their events, one is without.
func Filter(prefix, tenant, device string) string {
	f := append(make([]byte, 0, 64), prefix...)
	if tenant == "" {
		f = append(f, '*')
	} else {
		f = AppendToken(f, tenant)
	}
	f = append(f, '.')
	if device == "" {
		f = append(f, '*')
	} else {
		f = AppendToken(f, device)
	}
	return string(f)
}

// Key stands for a subject in 16 bytes, the front half of a SHA-256: no two subjects
// share one.
type Key [16]byte

// KeyOf returns the key of a subject.
func KeyOf[S string | []byte](subject S) Key {
	h := sha256.Sum256([]byte(subject))
	return Key(h[:16])
}
