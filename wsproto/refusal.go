package wsproto

import (
	"net/http"
	"strconv"
	"time"
)

// Refusal is the HTTP answer to a handshake that is not accepted. It is an
// error; the ones that this package returns are shared and must not be written.
type Refusal struct {
	Status     int           // 4xx or 5xx
	Reason     string        // one line for people: the body of the response
	RetryAfter time.Duration // 0 = no Retry-After header; sent in whole seconds, rounded up
}

// Error implements error.
func (r *Refusal) Error() string {
	return "wsproto: " + strconv.Itoa(r.Status) + " " + r.Reason
}

// Append appends the whole HTTP/1.1 response and returns the longer slice. The
// connection is to be closed after it.
func (r *Refusal) Append(dst []byte) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(r.Status), 10)
	dst = append(append(dst, ' '), http.StatusText(r.Status)...)
	switch r.Status {
	case http.StatusUnauthorized:
		dst = append(dst, "\r\nWWW-Authenticate: Bearer"...)
	case http.StatusMethodNotAllowed:
		dst = append(dst, "\r\nAllow: GET"...)
	case http.StatusUpgradeRequired:
		dst = append(dst, "\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13"...) // [RFC6455 4.4]
	}
	if r.RetryAfter > 0 {
		dst = append(dst, "\r\nRetry-After: "...)
		dst = strconv.AppendInt(dst, int64((r.RetryAfter+time.Second-1)/time.Second), 10)
	}
	dst = append(dst, "\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: "...)
	dst = strconv.AppendInt(dst, int64(len(r.Reason)+1), 10)
	dst = append(append(dst, "\r\n\r\n"...), r.Reason...)
	return append(dst, '\n')
}
