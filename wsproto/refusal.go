package wsproto

import (
	"net/http"
	"strconv"
	"time"
)

// Refusal is the HTTP answer to a refused handshake. It is an error; those that this
// package returns are shared and must not be written.
type Refusal struct {
	Status     int           // 4xx or 5xx
	Reason     string        // one line for people: the body of the response
	RetryAfter time.Duration // 0 = no Retry-After header; sent in whole seconds, rounded up
}

// Error implements error.
func (r *Refusal) Error() string {
	return "wsproto: " + strconv.Itoa(r.Status) + " " + r.Reason
}

// Append appends the whole HTTP/1.1 response and returns the longer slice. The caller
// closes the connection after it.
func (r *Refusal) Append(dst []byte) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(r.Status), 10)
	dst = append(append(dst, ' '), http.StatusText(r.Status)...)
	dst = append(dst, "\r\nConnection: close"...)
	switch r.Status {
	case http.StatusUnauthorized:
		dst = append(dst, "\r\nWWW-Authenticate: Bearer"...)
	case http.StatusMethodNotAllowed:
		dst = append(dst, "\r\nAllow: GET"...)
	case http.StatusUpgradeRequired:
		// A 426 says what to upgrade to, and Upgrade is a hop-by-hop field that
		// Connection must name. [RFC6455 4.4]
		dst = append(dst, ", Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13"...)
	}
	if r.RetryAfter > 0 {
		dst = append(dst, "\r\nRetry-After: "...)
		dst = strconv.AppendInt(dst, int64((r.RetryAfter+time.Second-1)/time.Second), 10)
	}
	dst = append(dst, "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: "...)
	dst = strconv.AppendInt(dst, int64(len(r.Reason)+1), 10)
	dst = append(append(dst, "\r\n\r\n"...), r.Reason...)
	return append(dst, '\n')
}

// The faults that FindHeaderBlock and Parse find.
var (
	errRequestLine    = &Refusal{Status: 400, Reason: "malformed request line"}
	errBareLF         = &Refusal{Status: 400, Reason: "a line does not end in CR LF"}
	errField          = &Refusal{Status: 400, Reason: "malformed header field"}
	errTrailing       = &Refusal{Status: 400, Reason: "bytes after the header block"}
	errTarget         = &Refusal{Status: 400, Reason: "malformed request target"}
	errDuplicate      = &Refusal{Status: 400, Reason: "a header field that may appear only once is repeated"}
	errHost           = &Refusal{Status: 400, Reason: "Host header missing or malformed"}
	errBody           = &Refusal{Status: 400, Reason: "a handshake has no body"}
	errConnection     = &Refusal{Status: 400, Reason: "Connection header does not name Upgrade"}
	errKey            = &Refusal{Status: 400, Reason: "Sec-WebSocket-Key is not 16 bytes in base64"}
	errProtocolList   = &Refusal{Status: 400, Reason: "malformed Sec-WebSocket-Protocol"}
	errExtensionList  = &Refusal{Status: 400, Reason: "malformed Sec-WebSocket-Extensions"}
	errMethod         = &Refusal{Status: 405, Reason: "the method of a WebSocket handshake is GET"}
	errUpgrade        = &Refusal{Status: 426, Reason: "this is a WebSocket endpoint: Upgrade must be websocket"}
	errVersion        = &Refusal{Status: 426, Reason: "Sec-WebSocket-Version must be 13"}
	errHeaderTooLarge = &Refusal{Status: 431, Reason: "header block too large"}
	errTooManyHeaders = &Refusal{Status: 431, Reason: "too many header fields"}
	errHTTPVersion    = &Refusal{Status: 505, Reason: "HTTP/1.1 is required"}
)
