package tricks

import (
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// lie is an address that nobody here has.
const lie = "203.0.113.7"

// headerV1 and headerV2 are PROXY headers.
func headerV1(kind, from string) string {
	return fmt.Sprintf("PROXY %s %s 198.51.100.1 4711 443\r\n", kind, from)
}

func headerV2(command, family byte, body string, length int) string {
	head := append([]byte("\r\n\r\n\x00\r\nQUIT\n"), command, family)
	return string(binary.BigEndian.AppendUint16(head, uint16(length))) + body //nolint:gosec // as long as wished
}

// proxyTricks are of a proxy that lies, or of somebody who says he is one.
func proxyTricks() []Trick {
	v2 := "\xcb\x00\x71\x07\xc6\x33\x64\x01\x12\x67\x01\xbb" // from the lie
	from := func(network byte, name, about, begin string, want ...string) Trick {
		return Trick{Name: name, About: about, Want: want, try: func(t *try) string { return t.through(network, begin, "") }}
	}
	forwarded := "X-Forwarded-For: " + lie + "\r\n"
	as := func(network byte, name, about, begin, fields, want string) Trick {
		return Trick{Name: name, About: about, Want: []string{want}, try: func(t *try) string { return t.takenFor(network, begin, fields) }}
	}
	return []Trick{
		from(strangers, "stranger-v1", "a header from an address that is no proxy's", headerV1("TCP4", lie), "400", "505", "405"),
		from(strangers, "stranger-v2", "the same, version 2", headerV2(0x21, 0x11, v2, 12), "400", "505", "405", cut),
		from(proxies, "missing", "a proxy that sends none", "", cut),
		from(proxies, "v1-endless", "a line without an end", "PROXY TCP4 "+strings.Repeat("1", 64<<10), cut),
		from(proxies, "v1-noise", "a line that is wrong", "PROXY TCP4 999.1.1.1 1.1.1.1 x y\r\n", cut),
		from(proxies, "v1-kind", "a protocol that does not exist", headerV1("TCP9", lie), cut),
		from(proxies, "v2-64k", "a length of 64 KiB", headerV2(0x21, 0x11, strings.Repeat("\x00", 64<<10), 65535), cut),
		from(proxies, "v2-short", "a length that is too small for its addresses", headerV2(0x21, 0x11, "\xcb\x00\x71", 3), cut),
		from(proxies, "v2-version", "version 3", headerV2(0x31, 0x11, v2, 12), cut),
		from(proxies, "v2-command", "a command that does not exist", headerV2(0x2f, 0x11, v2, 12), cut),
		from(proxies, "v2-tlvs", "4,000 bytes of TLVs, each empty", headerV2(0x21, 0x11, v2+strings.Repeat("\x04\x00\x00", 1300), 12+3900), "101"),
		from(proxies, "v2-tlv-long", "a TLV that is longer than its header", headerV2(0x21, 0x11, v2+"\x04\xff\xff", 15), "101", cut),
		from(proxies, "twice", "two headers", headerV1("TCP4", lie)+headerV1("TCP4", "203.0.113.8"), "400", "505", "405"),
		{Name: "silence", About: "a proxy that says nothing", Slow: true, Want: []string{cut}, try: func(t *try) string { return t.slowHeader("") }},
		{Name: "slowly", About: "a header, a byte at a time", Slow: true, Want: []string{cut}, try: func(t *try) string { return t.slowHeader(headerV2(0x21, 0x11, strings.Repeat("\x00", 2000), 2000)) }},
		{Name: "inside-tls", About: "a header inside of TLS", Want: []string{"400", "505", "405"}, try: func(t *try) string { return t.insideTLS(strangers, "") }},
		{Name: "inside-tls-too", About: "another one inside of TLS, behind a proxy's", Want: []string{"400", "505", "405"}, try: func(t *try) string { return t.insideTLS(proxies, headerV1("TCP4", lie)) }},
		as(proxies, "true", "what a proxy says holds", headerV1("TCP4", lie), "", lie),
		as(proxies, "local", "a connection of the proxy's own", headerV2(0x20, 0, "", 0), "", "its own"),
		as(proxies, "local-forwarded", "the same, and the device says whose it is", headerV2(0x20, 0, "", 0), forwarded, "its own"),
		as(proxies, "header-forwarded", "a device behind a proxy says whose it is", headerV1("TCP4", "203.0.113.8"), forwarded, "203.0.113.8"),
		as(strangers, "forwarded", "a stranger says whose it is", "", forwarded, "its own"),
		as(trusted, "forwarded-trusted", "what a trusted proxy says holds", "", forwarded, lie),
		as(trusted, "forwarded-both", "a trusted proxy that says two things", "", forwarded+"Forwarded: for=203.0.113.9\r\n", "its own"),
		as(both, "unknown", "a proxy of both lists passes on a device of whom it knows nothing, and the device says whose it is", "PROXY UNKNOWN\r\n", forwarded, "its own"),
		as(both, "both-header", "the same, and the proxy knows", headerV1("TCP4", "203.0.113.8"), forwarded, "203.0.113.8"),
	}
}

// through comes from a network, begins with a header, and asks to be let in.
func (t *try) through(network byte, begin, fields string) string {
	c, err := t.dialFrom(network, t.doors.WS)
	if err != nil {
		return t.ended(err)
	}
	defer c.Close()
	status, _ := t.say(c, begin+t.asking(fields))
	return status
}

// takenFor is for whom the node takes a device that came so.
func (t *try) takenFor(network byte, begin, fields string) string {
	c, err := t.dialFrom(network, t.doors.WS)
	if err != nil {
		return t.ended(err)
	}
	if _, err := io.WriteString(c, begin); err != nil {
		return t.ended(err)
	}
	d, err := t.deviceOn(c, fields)
	if err != nil {
		return t.ended(err)
	}
	defer c.Close()
	remote := t.remote("default", t.name())
	if own, _, _ := net.SplitHostPort(d.conn.LocalAddr().String()); remote == own {
		return "its own"
	}
	return remote
}

func (t *try) slowHeader(text string) string {
	c, err := t.dialFrom(proxies, t.doors.WS)
	if err != nil {
		return t.ended(err)
	}
	defer c.Close()
	if text == "" {
		return t.wait(c)
	}
	return t.drip(c, text, 10*time.Millisecond)
}

func (t *try) insideTLS(network byte, begin string) string {
	c, err := t.dialFrom(network, t.doors.WSS)
	if err != nil {
		return t.ended(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, begin); err != nil {
		return t.ended(err)
	}
	s := tls.Client(c, client())
	if err := s.HandshakeContext(t.ctx); err != nil {
		return t.ended(err)
	}
	status, _ := t.say(s, headerV1("TCP4", lie)+t.asking(""))
	return status
}
