package eventloop_test

import (
	"strings"
	"testing"
	"time"

	"edgeloop/eventloop"
	"edgeloop/internal/testkit"
)

// The Acceptor sees what the peer presented, and from where.
func TestHello_Credentials(t *testing.T) {
	seen := make(chan eventloop.Credentials, 1)
	n := serve(t, eventloop.Config{Protocols: []string{"b"}}, func(_ *eventloop.Conn, h *eventloop.Hello) (eventloop.Receiver, *eventloop.Refusal) {
		seen <- h.Credentials
		return nil, &eventloop.Refusal{Reason: eventloop.ReasonForbidden}
	})
	d := n.dial()
	d.raw([]byte(strings.Replace(strings.TrimSuffix(request, "\r\n"), "GET / ", "GET /at%20home?q=1 ", 1) +
		"Authorization: Bearer a\r\nOrigin: http://page\r\nSec-WebSocket-Protocol: c, bearer.t, b\r\n\r\n"))
	got := testkit.Receive(t, patience, "the credentials", seen)
	if got.Remote.String() != d.conn.LocalAddr().String() {
		t.Errorf("address %s, want %s", got.Remote, d.conn.LocalAddr())
	}
	for _, field := range []struct{ name, got, want string }{
		{"path", string(got.Path), "/at%20home"},
		{"query", string(got.Query), "q=1"},
		{"host", string(got.Host), "node"},
		{"origin", string(got.Origin), "http://page"},
		{"authorization", string(got.Authorization), "Bearer a"},
		{"bearer", string(got.Bearer), "t"},
		{"protocol", got.Protocol, "b"},
	} {
		if field.got != field.want {
			t.Errorf("%s %q, want %q", field.name, field.got, field.want)
		}
	}
	if got.Offered != 2 {
		t.Errorf("%d subprotocols offered, want 2", got.Offered)
	}
}

// Each reason has its answer in HTTP.
func TestHello_Reasons(t *testing.T) {
	for reason, want := range map[eventloop.Reason]int{
		eventloop.ReasonMalformed:    400,
		eventloop.ReasonUnauthorized: 401,
		eventloop.ReasonForbidden:    403,
		eventloop.ReasonNotFound:     404,
		eventloop.ReasonUnavailable:  503,
		eventloop.ReasonInternal:     500,
	} {
		n := serve(t, eventloop.Config{}, func(*eventloop.Conn, *eventloop.Hello) (eventloop.Receiver, *eventloop.Refusal) {
			return nil, &eventloop.Refusal{Reason: reason, Text: "because", RetryAfter: 3 * time.Second}
		})
		d := n.dial()
		d.raw([]byte(request))
		if got := d.wantStatus(want).Get("Retry-After"); got != "3" {
			t.Errorf("%d with Retry-After %q", want, got)
		}
	}
}
