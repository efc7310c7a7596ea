package gateway_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"edgeloop/auth"
	"edgeloop/envelope"
	"edgeloop/gateway"
)

// lines are the lines about a device, by message.
func lines(logs *observer.ObservedLogs, device string) map[string]map[string]any {
	found := map[string]map[string]any{}
	for _, e := range logs.All() {
		if fields := e.ContextMap(); fields["device_id"] == device && e.Level == zapcore.InfoLevel {
			found[e.Message] = fields
		}
	}
	return found
}

// TestNotice: an operator who asks the log for a device is told why it was refused or cut
// off, and from where it came, also of one whose token was not taken.
func TestNotice(t *testing.T) {
	for name, tc := range map[string]struct {
		claims auth.Claims
		status int
		what   string
		want   map[string]any
	}{
		"expired":  {auth.Claims{Tenant: "acme", Device: "d", Expires: time.Now().Add(-time.Hour)}, 401, "device refused", map[string]any{"tenant": "acme", "code": "unauthorized", "confirmed": false}},
		"banned":   {auth.Claims{Device: "d"}, 403, "device refused", map[string]any{"tenant": "default", "code": "forbidden", "reason": "this device is banned: stolen"}},
		"babbling": {auth.Claims{Tenant: "acme", Device: "d"}, 101, "device sent a bad message", map[string]any{"tenant": "acme"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			core, logs := observer.New(zapcore.InfoLevel)
			verifier, sign := tokens(t)
			store := &memStore{}
			if name == "banned" {
				store.banned = map[string]string{"d": "stolen"}
			}
			n := startNodeWith(t, &memLog{}, store, gateway.Config{Verifier: verifier, Logger: zap.New(core)}, false)
			o := &websocket.DialOptions{Subprotocols: []string{envelope.ProtoJSON}, HTTPHeader: http.Header{"Authorization": {"Bearer " + sign(tc.claims)}}}
			d, status, err := n.dialWith("", o)
			if status != tc.status {
				t.Fatalf("status %d, not %d: %v", status, tc.status, err)
			}
			if status == 101 {
				d.send(message{Type: "nothing"})
			}
			n.until("a line about it", func() bool { return lines(logs, "d")[tc.what] != nil })
			got := lines(logs, "d")[tc.what]
			if remote, _ := got["remote"].(string); remote == "" || got["reason"] == "" {
				t.Errorf("it came from nowhere, or for no reason: %v", got)
			}
			for name, value := range tc.want {
				if got[name] != value {
					t.Errorf("%s is %v, not %v", name, got[name], value)
				}
			}
		})
	}
}

// TestNotice_CutOff: of a connection that the node ended the line says how, and from
// where the device came; one that ends in order has none.
func TestNotice_CutOff(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zapcore.InfoLevel)
	n := startNode(t, &memLog{}, gateway.Config{Logger: zap.New(core)})
	large, orderly := n.connect("large"), n.connect("orderly")
	_ = orderly.ws.Close(1000, "")
	_ = large.trySend(message{Type: "telemetry", Data: []byte(`"` + strings.Repeat("x", 2<<20) + `"`)})
	large.wantClosed(1009)
	n.until("a line about it", func() bool { return lines(logs, "large")["device was cut off"] != nil })
	got := lines(logs, "large")["device was cut off"]
	if fmt.Sprint(got["close_code"]) != "1009" || got["cause"] != "protocol_error" || got["remote"] == nil {
		t.Errorf("%v", got)
	}
	n.until("both to be gone", func() bool { return n.gateway.Stats().Online == 0 })
	if got := lines(logs, "orderly"); len(got) != 0 {
		t.Errorf("of one that left in order: %v", got)
	}
}

// TestNotice_Bounded: somebody who tries tokens costs one line, which the next one
// counts, and hides no other device.
func TestNotice_Bounded(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zapcore.InfoLevel)
	verifier, sign := tokens(t)
	n := startNodeWith(t, &memLog{}, &memStore{}, gateway.Config{Verifier: verifier, Logger: zap.New(core)}, false)
	expired := func(device string) {
		token := sign(auth.Claims{Device: device, Expires: time.Now().Add(-time.Hour)})
		if _, status, err := n.dialWith("token="+token, nil); status != 401 {
			t.Errorf("status %d: %v", status, err)
		}
	}
	began := time.Now()
	for range 50 {
		expired("noisy")
	}
	quiet := []string{"quiet-1", "quiet-2", "quiet-3", "quiet-4"} // one or two may share a slot
	for _, device := range quiet {
		expired(device)
	}
	said := func() int { return logs.FilterMessage("device refused").Len() }
	n.until("lines of two devices or more", func() bool { return said() >= 2 })
	if got, most := said(), 1+len(quiet)+int(time.Since(began)/(10*time.Second)); got > most { // of one device one in ten seconds
		t.Errorf("%d lines, want at most %d", got, most)
	}
}
