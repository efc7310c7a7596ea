package fleet

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"
)

const (
	maxResponse = 16 << 10
	acceptGUID  = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" // [RFC6455 1.3]
)

var errBadUpgrade = errors.New("fleet: not a valid 101 response")

// opener writes opening handshakes and checks the answers. One per loop.
type opener struct {
	head     []byte // up to the names in the query, if any
	tail     []byte // the rest without key and token
	protocol string
	tenant   string
	inQuery  bool
	sign     *signer
	seed     uint64
	key      [24]byte
	name     []byte
	prefix   string
}

func newOpener(cfg Config, t target, d dialect) (*opener, error) {
	o := &opener{protocol: d.protocol(), seed: cfg.Seed, prefix: cfg.Prefix, tenant: url.QueryEscape(cfg.Tenant)}
	o.head = append(o.head, "GET "+t.path...)
	o.inQuery = cfg.Secret == nil && t.path != "/"
	o.tail = append(o.tail, " HTTP/1.1\r\nHost: "+t.host+"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"...)
	if o.protocol != "" {
		o.tail = append(o.tail, "Sec-WebSocket-Protocol: "+o.protocol+"\r\n"...)
	}
	if cfg.Secret != nil {
		s, err := newSigner(cfg.Secret, cfg.Tenant, time.Now().Add(cfg.TokenLife).Unix())
		if err != nil {
			return nil, err
		}
		o.sign = s
	}
	return o, nil
}

// device is the name of device number n; valid until the next call.
func (o *opener) device(n int) []byte {
	o.name = append(o.name[:0], o.prefix...)
	for room := 1_000_000; n < room && room > 1; room /= 10 {
		o.name = append(o.name, '0')
	}
	o.name = strconv.AppendInt(o.name, int64(n), 10)
	return o.name
}

// request appends the opening handshake of device n in its attempt try.
func (o *opener) request(dst []byte, n int, try uint32) []byte {
	dst = append(dst, o.head...)
	if o.inQuery {
		sep := byte('?')
		if bytes.IndexByte(o.head, '?') >= 0 {
			sep = '&'
		}
		dst = append(dst, sep)
		dst = append(dst, "device="...)
		dst = append(dst, o.device(n)...)
		dst = append(dst, "&tenant="...)
		dst = append(dst, o.tenant...)
	}
	dst = append(dst, o.tail...)
	if o.sign != nil {
		dst = append(dst, "Authorization: Bearer "...)
		dst = o.sign.append(dst, o.device(n))
		dst = append(dst, "\r\n"...)
	}
	dst = append(dst, "Sec-WebSocket-Key: "...)
	dst = append(dst, o.keyOf(n, try)...)
	return append(dst, "\r\n\r\n"...)
}

// keyOf derives the key from device and attempt, so that no connection stores
// it: it need not be secret, only not repeat. [RFC6455 4.1]
func (o *opener) keyOf(n int, try uint32) []byte {
	var raw [16]byte
	binary.LittleEndian.PutUint64(raw[:], mix(o.seed^uint64(n)))
	binary.LittleEndian.PutUint64(raw[8:], mix(o.seed+uint64(try)<<40+uint64(n)))
	base64.StdEncoding.Encode(o.key[:], raw[:])
	return o.key[:]
}

// mix is splitmix64's finaliser.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// response is what the node answered to an opening handshake.
type response struct {
	status     int
	size       int // bytes up to and including the blank line
	retryAfter time.Duration
}

// parse reads the answer at the front of b; size 0 means more bytes are needed.
// An answer of 101 that does not prove that the node understood is an error.
func (o *opener) parse(b []byte, n int, try uint32) (r response, err error) {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		if len(b) > maxResponse {
			return r, errBadUpgrade
		}
		return r, nil
	}
	r.size = end + 4
	line, rest, _ := bytes.Cut(b[:end+2], []byte("\r\n"))
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return r, errBadUpgrade
	}
	if r.status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return r, errBadUpgrade
	}
	var accept, protocol, upgrade, connection []byte
	for len(rest) > 0 {
		var field []byte
		field, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		name, value, _ := bytes.Cut(field, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("Sec-WebSocket-Accept")):
			accept = value
		case bytes.EqualFold(name, []byte("Sec-WebSocket-Protocol")):
			protocol = value
		case bytes.EqualFold(name, []byte("Upgrade")):
			upgrade = value
		case bytes.EqualFold(name, []byte("Connection")):
			connection = value
		case bytes.EqualFold(name, []byte("Retry-After")):
			if s, err := strconv.Atoi(string(value)); err == nil {
				r.retryAfter = time.Duration(s) * time.Second
			}
		}
	}
	if r.status != 101 {
		return r, nil
	}
	sum := sha1.Sum(append(append([]byte(nil), o.keyOf(n, try)...), acceptGUID...))
	want := base64.StdEncoding.AppendEncode(nil, sum[:])
	switch {
	case !bytes.Equal(accept, want):
		return r, fmt.Errorf("%w: Sec-WebSocket-Accept %q", errBadUpgrade, accept)
	case !bytes.EqualFold(upgrade, []byte("websocket")):
		return r, fmt.Errorf("%w: Upgrade %q", errBadUpgrade, upgrade)
	case !bytes.EqualFold(connection, []byte("upgrade")):
		return r, fmt.Errorf("%w: Connection %q", errBadUpgrade, connection)
	case string(protocol) != o.protocol:
		return r, fmt.Errorf("%w: Sec-WebSocket-Protocol %q, want %q", errBadUpgrade, protocol, o.protocol)
	}
	return r, nil
}
