package e2e_test

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"
)

// The rate of the node counts devices that have proved who they are: strangers do not use it
// up. One too many hears when to come, and the rate changes while the node runs.
func TestConnects_StrangersUseUpNothing(t *testing.T) {
	t.Parallel()
	n := start(t, "--max-connects-per-node=3", "--retry-after=7s")
	for range 10 {
		if status := n.knock("no.token.atall"); status != 401 {
			t.Fatalf("a stranger is answered %d", status)
		}
	}
	token, next := n.token("d1"), n.token("d2") // one more may come in 20 s
	if status := n.knock(token); status != 101 {
		t.Fatalf("the first device is answered %d", status)
	}
	req, err := http.NewRequest(http.MethodGet, "http://"+n.listen+"/v1/device?token="+next, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "13",
	} {
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if after, err := strconv.Atoi(resp.Header.Get("Retry-After")); resp.StatusCode != 503 || err != nil || after < 7 || after > 40 {
		t.Errorf("the second device is answered %s with Retry-After %q", resp.Status, resp.Header.Get("Retry-After"))
	}
	n.wantMetric("edgeloop_gateway_drops_total", `reason="node_rate"`, 1)
	n.wantMetric("edgeloop_gateway_drops_total", `reason="unauthorized"`, 10)
	if status, answer := n.api("PATCH", "/v1/limits", map[string]any{"max_connects_per_node": 0}); status != 200 {
		t.Fatalf("a change of the rate: %d %v", status, answer)
	}
	for i := range 3 {
		if status := n.knock(n.token(fmt.Sprintf("e%d", i))); status != 101 {
			t.Errorf("without a bound device %d is answered %d", i, status)
		}
	}
}
