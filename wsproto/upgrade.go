package wsproto

import (
	"crypto/sha1" //nolint:gosec // what the protocol asks for; it protects nothing
	"encoding/base64"
	"strconv"
)

// keyGUID is what the proof is made of, behind the client's key. [RFC6455 1.3]
const keyGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// keySize is the length of a key: 16 bytes in base64.
const keySize = 24

// AppendResponse appends the 101 for the handshake last parsed without an error, and
// returns the longer slice. The block that was parsed must still be there.
// [RFC6455 4.2.2]
func (h *Handshake) AppendResponse(dst []byte) []byte {
	if !h.accepted {
		return dst
	}
	dst = append(dst, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "...)
	dst = appendProof(dst, h.required.key)
	if h.Protocol != "" {
		dst = append(dst, "\r\nSec-WebSocket-Protocol: "...)
		dst = append(dst, h.Protocol...)
	}
	if h.Compression { // [RFC7692 7.1]
		dst = append(dst, "\r\nSec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover"...)
		if h.window {
			dst = append(dst, "; server_max_window_bits="...) // [RFC7692 7.1.2.1]
			dst = strconv.AppendInt(dst, int64(h.WindowBits), 10)
		}
	}
	return append(dst, "\r\n\r\n"...)
}

// appendProof appends what shows that the server has read key, of keySize.
func appendProof(dst, key []byte) []byte {
	var text [keySize + len(keyGUID)]byte
	copy(text[copy(text[:], key):], keyGUID)
	proof := sha1.Sum(text[:]) //nolint:gosec // as above
	return base64.StdEncoding.AppendEncode(dst, proof[:])
}
