package gateway_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"

	"edgeloop/auth"
	"edgeloop/envelope"
	"edgeloop/gateway"
)

// startTokenNode is a node that checks tokens; sign makes them.
func startTokenNode(t *testing.T) (n *node, sign func(auth.Claims) string) {
	t.Helper()
	secret, _, err := auth.EnsureSecret(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	v, err := auth.New(auth.Config{SecretFile: secret})
	if err != nil {
		t.Fatal(err)
	}
	return startNode(t, &memLog{}, gateway.Config{Verifier: v}), func(c auth.Claims) string {
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
// a newer token in time stays.
func TestToken_Expiry(t *testing.T) {
	t.Parallel()
	n, sign := startTokenNode(t)
	end := time.Now().Truncate(time.Second).Add(2 * time.Second)
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
	leaves.wantClosed(4401)
	if now := time.Now(); now.Before(end) {
		t.Errorf("closed %s before its token expired", end.Sub(now))
	}
	tries.wantClosed(4401)
	stays.telemetry(1)
	stays.wantAck(1)
	n.until("only one is online", func() bool { return n.gateway.Stats().Online == 1 })
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
