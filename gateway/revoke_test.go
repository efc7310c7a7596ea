package gateway_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"

	"edgeloop/auth"
	"edgeloop/backbone"
	"edgeloop/envelope"
)

// TestRevoke: connections end with 4401 by the id of their token, by when it was issued and
// whose it is, and none beside; a newer token that the device sends is what counts.
func TestRevoke(t *testing.T) {
	t.Parallel()
	n, sign := startTokenNode(t)
	old, young := time.Unix(1000, 0), time.Unix(2000, 0)
	connect := func(c auth.Claims) *device { return n.connectWith(sign(c)) }
	stolen := connect(auth.Claims{Tenant: "acme", Device: "stolen", TokenID: "t1", IssuedAt: young})
	d1 := connect(auth.Claims{Tenant: "acme", Device: "d1", TokenID: "t2", IssuedAt: old})
	d2 := connect(auth.Claims{Tenant: "acme", Device: "d2", TokenID: "t3", IssuedAt: old})
	fresh := connect(auth.Claims{Tenant: "acme", Device: "fresh", IssuedAt: young})
	other := connect(auth.Claims{Tenant: "globex", Device: "d1", TokenID: "t1", IssuedAt: old})
	bare := connect(auth.Claims{Tenant: "globex", Device: "bare"})
	renewed := connect(auth.Claims{Tenant: "acme", Device: "renewed", TokenID: "t4", IssuedAt: old})
	renewed.send(message{Type: "token", Token: sign(auth.Claims{Tenant: "acme", Device: "renewed", TokenID: "t5", IssuedAt: young})})
	renewed.wantOpen()
	meter := n.mqtt(true)
	meter.send(connectOf(5, 0xC2, 60, "", "", "anybody", sign(auth.Claims{Tenant: "acme", Device: "meter", TokenID: "t6", IssuedAt: young})))
	if ack := meter.read(); ack[0] != 0x20 || ack[3] != 0 {
		t.Fatalf("CONNECT was answered % x", ack)
	}
	for _, c := range []struct {
		r      backbone.Revocation
		closed int
	}{
		{backbone.Revocation{Tenant: "acme", TokenID: "t4"}, 0},
		{backbone.Revocation{Tenant: "acme", TokenID: "t1"}, 1},
		{backbone.Revocation{Tenant: "acme", TokenID: "t6"}, 1},
		{backbone.Revocation{Tenant: "acme", Device: "d1", Before: 1000}, 0},
		{backbone.Revocation{Tenant: "acme", Device: "d1", Before: 1001}, 1},
		{backbone.Revocation{Tenant: "acme", Device: "nobody", Before: 1001}, 0},
		{backbone.Revocation{Tenant: "acme", Before: 1500}, 1},
		{backbone.Revocation{Before: 1}, 1},
	} {
		if got := n.gateway.Revoke(&c.r); got != c.closed {
			t.Errorf("%+v closed %d connections, want %d", c.r, got, c.closed)
		}
	}
	for _, d := range []*device{stolen, d1, d2, bare} {
		d.wantClosed(4401)
	}
	meter.wantEnd(0x87)
	for _, d := range []*device{fresh, other, renewed} {
		d.wantOpen()
	}
	if got := n.gateway.Stats().Revoked; got != 5 {
		t.Errorf("%d connections are counted", got)
	}
}

// TestRevoke_AtTheDoor: a token that is taken back opens none, neither at the handshake nor
// as a newer token of a connection that is open; by WebSocket and by MQTT.
func TestRevoke_AtTheDoor(t *testing.T) {
	t.Parallel()
	n, sign := startTokenNode(t)
	n.store.mu.Lock()
	n.store.revoked = map[string]int64{"eve": 1500}
	n.store.mu.Unlock()
	old := sign(auth.Claims{Device: "eve", IssuedAt: time.Unix(1000, 0)})
	_, status, err := n.dialWith("", &websocket.DialOptions{Subprotocols: []string{envelope.ProtoJSON}, HTTPHeader: http.Header{"Authorization": {"Bearer " + old}}})
	if err == nil || status != http.StatusUnauthorized {
		t.Fatalf("a revoked token got %d, %v", status, err)
	}
	d := n.connectWith(sign(auth.Claims{Device: "eve", IssuedAt: time.Unix(2000, 0)}))
	d.send(message{Type: "token", Token: old})
	if e := d.want("error"); e.Code != "bad_token" {
		t.Errorf("a revoked token as the newer one got %v", e)
	}
	d.wantOpen()
	for _, v5 := range []bool{false, true} {
		c, version, refused := n.mqtt(v5), byte(4), byte(4) // 3.1.1: bad user name or password
		if v5 {
			version, refused = 5, 0x86
		}
		c.send(connectOf(version, 0xC2, 60, "", "", "anybody", old))
		if ack := c.read(); ack[0] != 0x20 || ack[3] != refused {
			t.Errorf("CONNECT with a revoked token, version %d: % x", version, ack)
		}
	}
}
