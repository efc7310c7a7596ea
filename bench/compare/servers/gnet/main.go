// Command gnet does with github.com/panjf2000/gnet what rawc does with epoll: the handshake, and
// frames turned round in place, unchecked. It shows what the engine costs that the node's loops
// are built on.
package main

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"

	"github.com/gobwas/ws"
	"github.com/panjf2000/gnet/v2"

	"edgeloop/bench/compare/internal/peer"
)

type handler struct {
	gnet.BuiltinEventEngine
}

// open is the context of a connection whose handshake is done.
type open struct{}

// OnTraffic answers what one read brought in one write.
func (*handler) OnTraffic(c gnet.Conn) gnet.Action {
	in, err := c.Peek(-1)
	if err != nil {
		return gnet.Close
	}
	var used int
	var out []byte
	var closed bool
	if c.Context() == nil {
		if used, out = answer(in); used > 0 {
			c.SetContext(open{})
		}
	} else if used, out, closed = turn(in); closed {
		return gnet.Close
	}
	if len(out) > 0 {
		_, _ = c.Write(out) // a failure closes the connection
	}
	if used > 0 { // of nothing gnet discards all
		_, _ = c.Discard(used)
	}
	return gnet.None
}

const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// answer is the 101 for a whole request; nil while it is not.
func answer(in []byte) (used int, out []byte) {
	end := bytes.Index(in, []byte("\r\n\r\n"))
	at := bytes.Index(in, []byte("Sec-WebSocket-Key: "))
	if end < 0 || at < 0 || len(in) < at+43 {
		return 0, nil
	}
	proof := sha1.Sum(append(append(make([]byte, 0, 60), in[at+19:at+43]...), guid...))
	out = append(make([]byte, 0, 160), "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "...)
	return end + 4, append(base64.StdEncoding.AppendEncode(out, proof[:]), "\r\n\r\n"...)
}

// turn makes the answers to the whole frames of b, in place. [RFC6455 5.2]
func turn(b []byte) (used int, out []byte, closed bool) {
	out = b[:0]
	for len(b)-used >= 6 {
		f := b[used:]
		size, head := uint64(f[1]&127), 6
		switch {
		case size == 126 && len(f) >= 8:
			size, head = uint64(binary.BigEndian.Uint16(f[2:])), 8
		case size == 127 && len(f) >= 14:
			size, head = binary.BigEndian.Uint64(f[2:]), 14
		case size >= 126:
			return used, out, false
		}
		if uint64(len(f)-head) < size {
			break
		}
		payload := f[head : head+int(size)]
		ws.Cipher(payload, [4]byte(f[head-4:]), 0)
		used += head + int(size)
		first := f[0]
		switch ws.OpCode(first & 15) {
		case ws.OpClose:
			return used, nil, true
		case ws.OpPong:
			continue
		case ws.OpPing:
			first = 0x80 | byte(ws.OpPong)
		}
		out = append(out, first, f[1]&127)
		out = append(out, f[2:head-4]...)
		out = append(out, payload...)
	}
	return used, out, false
}

func main() {
	f := peer.Parse()
	peer.Exit(gnet.Run(&handler{}, "tcp://"+f.Addr, gnet.WithMulticore(true), gnet.WithReuseAddr(true)))
}
