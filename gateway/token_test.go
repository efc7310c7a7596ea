package gateway_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"edgeloop/auth"
	"edgeloop/envelope"
	"edgeloop/gateway"
	"edgeloop/internal/testkit"
)

// startTokenNode is a node that checks tokens; sign makes them.
func startTokenNode(t *testing.T) (n *node, sign func(auth.Claims) string) {
	t.Helper()
	return startTokenNodeWith(t, gateway.Config{})
}

func startTokenNodeWith(t *testing.T, cfg gateway.Config) (n *node, sign func(auth.Claims) string) {
	t.Helper()
	cfg.Verifier, sign = tokens(t)
	return startNode(t, &memLog{}, cfg), sign
}

// tokens are signed by one and checked by the other.
func tokens(t *testing.T) (verifier *auth.Verifier, sign func(auth.Claims) string) {
	t.Helper()
	secret, _, err := auth.EnsureSecret(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if verifier, err = auth.New(auth.Config{SecretFile: secret}); err != nil {
		t.Fatal(err)
	}
	return verifier, func(c auth.Claims) string {
		t.Helper()
		token, err := auth.Sign(secret, c)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
}

func (n *node) connectWith(token string) *device {
	n.Helper()
	d, _, err := n.dialWith("", &websocket.DialOptions{
		Subprotocols: []string{envelope.ProtoJSON},
		HTTPHeader:   http.Header{"Authorization": {"Bearer " + token}},
	})
	if err != nil {
		n.Fatal(err)
	}
	d.welcome = d.want("welcome")
	return d
}

// TestToken_Places: the token may come in three places, and must come in one.
func TestToken_Places(t *testing.T) {
	t.Parallel()
	n, sign := startTokenNode(t)
	token := sign(auth.Claims{Device: "tom"})
	for name, c := range map[string]struct {
		query     string
		header    string
		protocols []string
		status    int
	}{
		"header":                   {"", "Bearer " + token, []string{envelope.ProtoJSON}, 101},
		"two spaces":               {"", "Bearer  " + token, []string{envelope.ProtoJSON}, 101},
		"spaces and no token":      {"", "Bearer   ", nil, 401},
		"header in other letters":  {"", "bEARER " + token, []string{envelope.ProtoJSON}, 101},
		"query":                    {"token=" + token, "", nil, 101},
		"subprotocol":              {"", "", []string{envelope.ProtoJSON, "bearer." + token}, 101},
		"nowhere":                  {"device=tom", "", nil, 401},
		"another scheme":           {"", "Basic " + token, nil, 401},
		"not a token":              {"token=x", "", nil, 401},
		"signed by somebody else":  {"token=" + token[:len(token)-2] + "AA", "", nil, 401},
		"expired":                  {"token=" + sign(auth.Claims{Device: "tom", Expires: time.Now().Add(-time.Minute)}), "", nil, 401},
		"not valid yet":            {"token=" + sign(auth.Claims{Device: "tom", NotBefore: time.Now().Add(time.Hour)}), "", nil, 401},
		"a query that is no query": {"token=%zz", "", nil, 400},
	} {
		t.Run(name, func(t *testing.T) {
			o := &websocket.DialOptions{Subprotocols: c.protocols, HTTPHeader: http.Header{}}
			if c.header != "" {
				o.HTTPHeader.Set("Authorization", c.header)
			}
			if _, status, err := n.dialWith(c.query, o); status != c.status {
				t.Errorf("status %d, not %d: %v", status, c.status, err)
			}
		})
	}
}

// TestToken_Expiry: a connection ends with its token, not before; one that sent
// a newer token in time stays. The node's clock is set to shortly before that end when
// all are here, however long that took.
func TestToken_Expiry(t *testing.T) {
	t.Parallel()
	var off atomic.Int64
	n, sign := startTokenNodeWith(t, gateway.WithWall(gateway.Config{}, &off))
	end := time.Now().Truncate(time.Second).Add(time.Hour)
	leaves := n.connectWith(sign(auth.Claims{Device: "leaves", Expires: end}))
	stays := n.connectWith(sign(auth.Claims{Device: "stays", Expires: end}))
	stays.send(message{Type: "token", Token: sign(auth.Claims{Device: "stays", Expires: end.Add(time.Hour)})})
	tries := n.connectWith(sign(auth.Claims{Device: "tries", Expires: end}))
	tries.send(message{Type: "token", Token: sign(auth.Claims{Device: "stays", Expires: end.Add(time.Hour)})})
	if m := tries.want("error"); m.Code != envelope.CodeBadToken {
		t.Errorf("error is %+v", m)
	}
	tries.send(message{Type: "token", Token: "x"})
	if m := tries.want("error"); m.Code != envelope.CodeBadToken {
		t.Errorf("error is %+v", m)
	}
	off.Store(int64(time.Until(end) - 3*time.Second))
	leaves.wantClosed(4401)
	if now := time.Now().Add(time.Duration(off.Load())); now.Before(end) {
		t.Errorf("closed %s before its token expired", end.Sub(now))
	}
	tries.wantClosed(4401)
	stays.telemetry(1)
	stays.wantAck(1)
	n.until("only one is online", func() bool { return n.gateway.Stats().Online == 1 })
}

// atOnce is less than the ten seconds after which the wheel comes to a connection by itself.
const atOnce = 8 * time.Second

// TestToken_ExpiryBroughtForward: a newer token may end sooner than the old one, and the connection
// with it, before the wheel comes by itself. The node's clock is ahead, so that the verifier, which
// goes by the real one, takes what has 3 s to go.
func TestToken_ExpiryBroughtForward(t *testing.T) {
	t.Parallel()
	var off atomic.Int64
	off.Store(int64(time.Hour - 3*time.Second))
	n, sign := startTokenNodeWith(t, gateway.WithWall(gateway.Config{}, &off))
	testkit.Eventually(t, patience, "a connection to end at once", func() bool {
		began := time.Now()
		d := n.connectWith(sign(auth.Claims{Device: "tom", Expires: began.Add(4 * time.Hour)}))
		d.send(message{Type: "token", Token: sign(auth.Claims{Device: "tom", Expires: time.Now().Add(time.Hour)})})
		d.wantClosed(4401)
		return time.Since(began) < atOnce // else this machine may have stood still
	})
}

// wantOpen sees that the connection still carries messages both ways.
func (d *device) wantOpen() {
	d.Helper()
	d.telemetry(1)
	d.wantAck(1)
}

// TestToken_ExpiryWhilePaused: a device that is not read from, here because it is far over
// its rate, ends with its token all the same.
func TestToken_ExpiryWhilePaused(t *testing.T) {
	t.Parallel()
	var off atomic.Int64
	n, sign := startTokenNodeWith(t, gateway.WithWall(gateway.Config{RateBytes: 10}, &off))
	d := n.connectWith(sign(auth.Claims{Device: "eager", Expires: time.Now().Add(time.Hour)}))
	d.send(message{Type: "telemetry", Seq: 1, Data: json.RawMessage(`"` + strings.Repeat("x", 8<<10) + `"`)})
	d.wantAck(1)
	off.Store(int64(time.Hour - 3*time.Second))
	d.wantClosed(4401)
}

// TestToken_ExpiryWhenTheClockIsSet: NTP sets the clock, and connections end at once whose tokens
// are over by that, and no others.
func TestToken_ExpiryWhenTheClockIsSet(t *testing.T) {
	t.Parallel()
	var off atomic.Int64
	n, sign := startTokenNodeWith(t, gateway.WithWall(gateway.Config{}, &off))
	testkit.Eventually(t, patience, "a connection to end at once", func() bool {
		began := time.Now()
		now := began.Add(time.Duration(off.Load())) // by the node's clock
		soon := n.connectWith(sign(auth.Claims{Device: "soon", Expires: now.Add(time.Hour)}))
		later := n.connectWith(sign(auth.Claims{Device: "later", Expires: now.Add(4 * time.Hour)}))
		off.Add(int64(2 * time.Hour))
		soon.wantClosed(4401)
		took := time.Since(began)
		later.wantOpen()
		return took < atOnce // else this machine may have stood still
	})
}

// TestToken_Topics: what the token does not allow is refused, and what a newer
// token allows is not.
func TestToken_Topics(t *testing.T) {
	t.Parallel()
	n, sign := startTokenNode(t)
	d := n.connectWith(sign(auth.Claims{Tenant: "acme", Device: "therm", Topics: []string{"room/+/temp"}}))
	d.send(message{Type: "telemetry", Seq: 1, Topic: "room/1/temp", Data: json.RawMessage("1")})
	d.wantAck(1)
	d.send(message{Type: "telemetry", Seq: 2, Topic: "room/1/door", Data: json.RawMessage("2")})
	if m := d.want("error"); m.Code != envelope.CodeNotAllowed {
		t.Errorf("error is %+v", m)
	}
	d.send(message{Type: "token", Token: sign(auth.Claims{Tenant: "acme", Device: "therm"})})
	d.send(message{Type: "telemetry", Seq: 2, Topic: "room/1/door", Data: json.RawMessage("2")})
	d.wantAck(2)
}
