package tricks

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"

	"golang.org/x/net/http2/hpack"
)

const h2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// Kinds of HTTP/2 frames. [RFC9113 6]
const (
	h2Data         = 0
	h2Headers      = 1
	h2Reset        = 3
	h2Settings     = 4
	h2Ping         = 6
	h2Goaway       = 7
	h2Window       = 8
	h2Continuation = 9

	endStream, endHeaders = 1, 4
)

// h2 is an HTTP/2 frame.
func h2(kind, flags byte, stream uint32, payload string) string {
	head := []byte{byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload)), kind, flags}
	return string(binary.BigEndian.AppendUint32(head, stream)) + payload
}

// field is a header field as HPACK writes one that nothing is known of.
func field(name, value string) string {
	return "\x10" + hpackString(name) + hpackString(value)
}

func hpackString(s string) string {
	if len(s) < 127 {
		return bytesOf(byte(len(s))) + s
	}
	return "\x7f" + varint(len(s)-127) + s
}

func call(method, token string) string {
	return "\x83\x86" + field(":path", method) + field(":authority", "a") + field("te", "trailers") +
		field("content-type", "application/grpc") + field("authorization", "Bearer "+token)
}

// Methods.
const (
	list  = "/edgeloop.v1.Presence/List"
	watch = "/edgeloop.v1.Presence/Watch"
)

// grpcTricks speak HTTP/2 to the door of gRPC.
func grpcTricks() []Trick {
	// say sends frames and hears the end, or that the node still answers.
	say := func(name, about, wire string, want ...string) Trick {
		return Trick{Name: name, About: about, Want: want, try: func(t *try) string { return t.h2(wire) }}
	}
	// trusted is a call with a good token, and what follows it.
	trusted := func(name, about, rest string, want ...string) Trick {
		return Trick{Name: name, About: about, Want: want, try: func(t *try) string {
			return t.h2(h2(h2Headers, endHeaders, 1, call(list, t.doors.Reader)) + rest)
		}}
	}
	ended := []string{cut, "goaway …"}
	var resets, streams, watches strings.Builder
	for i := range uint32(20_000) {
		resets.WriteString(h2(h2Headers, endHeaders, 2*i+1, call(list, "guess")) + h2(h2Reset, 0, 2*i+1, "\x00\x00\x00\x08"))
	}
	for i := range uint32(5000) {
		streams.WriteString(h2(h2Headers, endHeaders, 2*i+1, call(list, "guess")))
	}
	for i := range uint32(200) {
		watches.WriteString(h2(h2Headers, endHeaders|endStream, 2*i+1, call(watch, "guess")))
	}
	first := h2(h2Headers, endHeaders|endStream, 1, call(list, ""))
	return []Trick{
		{Name: "silence", About: "nothing is said", Want: []string{cut, open}, Slow: true, Peers: 100, try: func(t *try) string { return t.holds(t.doors.GRPC, "") }},
		say("http1", "HTTP/1.1", "", ended...),
		say("no-token", "a call without a token", first, "status 16", cut),
		say("wrong-token", "a call with a wrong one", h2(h2Headers, endHeaders|endStream, 1, call(list, "guess")), "status 16", cut),
		say("no-method", "a method that does not exist, without a token", h2(h2Headers, endHeaders|endStream, 1, call("/a/b", "")), "status 16", cut),
		say("header-1m", "metadata of 1 MiB", h2(h2Headers, 0, 1, call(list, "")+field("x", strings.Repeat("x", 15_000)))+strings.Repeat(h2(h2Continuation, 0, 1, field("y", strings.Repeat("y", 15_000))), 70)+h2(h2Continuation, endHeaders, 1, ""), ended...),
		say("continuations", "continuations without an end", h2(h2Headers, 0, 1, call(list, ""))+strings.Repeat(h2(h2Continuation, 0, 1, ""), 200_000), append(ended, open)...),
		say("rapid-reset", "calls that are taken back at once", resets.String(), append(ended, "status 16")...),
		say("streams", "5,000 calls that do not end, with a wrong token", streams.String(), append(ended, "status 16", "reset …")...),
		say("watchers", "200 watchers with a wrong token", watches.String(), append(ended, "status 16", "reset …")...),
		say("settings", "settings without end", strings.Repeat(h2(h2Settings, 0, 0, ""), 100_000), append(ended, open)...),
		say("pings", "pings without end", strings.Repeat(h2(h2Ping, 0, 0, "12345678"), 100_000), ended...),
		say("frame-large", "a frame of 16 MiB, announced", "\xff\xff\xff\x00\x00\x00\x00\x00\x01"+strings.Repeat("x", 1<<20), ended...),
		say("window", "a window that overflows", h2(h2Window, 0, 0, "\x7f\xff\xff\xff")+h2(h2Window, 0, 0, "\x7f\xff\xff\xff"), append(ended, open)...),
		say("data-alone", "data of a call that there is not", h2(h2Data, 0, 1, "x"), append(ended, "reset …", open)...),
		trusted("message", "a message that announces 4 GiB", h2(h2Data, 0, 1, "\x00\xff\xff\xff\xff"+strings.Repeat("x", 1000)), "status 8", "reset …"),
		trusted("deflated", "a message in an encoding that nobody knows", h2(h2Data, endStream, 1, "\x01\x00\x00\x00\x01x"), "status 13", "status 12", "reset …"),
	}
}

// h2 speaks HTTP/2, and says what the first answer is that means something: the status of a
// call, or the end.
func (t *try) h2(wire string) string {
	c, err := t.dial(t.doors.GRPC)
	if err != nil {
		return t.ended(err)
	}
	defer c.Close()
	if wire == "" {
		wire = upgrade("/") + "\r\n"
	} else {
		wire = h2Preface + h2(h2Settings, 0, 0, "") + wire
	}
	go func() { _, _ = io.WriteString(c, wire) }()
	return t.h2Answer(c)
}

func (t *try) h2Answer(c net.Conn) string {
	r := bufio.NewReader(c)
	fields := hpack.NewDecoder(4096, nil)
	for {
		var head [9]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return t.ended(err)
		}
		payload := make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
		if _, err := io.ReadFull(r, payload); err != nil {
			return t.ended(err)
		}
		switch head[3] {
		case h2Goaway:
			if len(payload) >= 8 {
				return fmt.Sprintf("goaway %d", binary.BigEndian.Uint32(payload[4:]))
			}
		case h2Reset:
			if len(payload) >= 4 {
				return fmt.Sprintf("reset %d", binary.BigEndian.Uint32(payload))
			}
		case h2Headers:
			all, err := fields.DecodeFull(payload)
			if err != nil {
				return err.Error()
			}
			for _, f := range all {
				if f.Name == "grpc-status" {
					return "status " + f.Value
				}
			}
		}
	}
}
