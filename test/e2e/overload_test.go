package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	v1 "edgeloop/api/edgeloop/v1"
	service "edgeloop/client"
	"edgeloop/internal/testkit"
)

// tries to come in as a device; c is to be closed.
func (n *node) tries(device string) (c *rawConn, status, retryAfter int) {
	n.t.Helper()
	c = dialTCP(n.t, n.listen)
	fmt.Fprintf(c, "GET /v1/device?device=%s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: edgeloop.v1.json\r\n\r\n", device, n.listen)
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		n.t.Fatal(err)
	}
	resp.Body.Close() // it is empty, or says what the status does; frames follow
	retryAfter, _ = strconv.Atoi(resp.Header.Get("Retry-After"))
	return c, resp.StatusCode, retryAfter
}

// comes in as a device, also where others keep the machine so busy that the node says so.
func (n *node) comes(device string) (c *rawConn) {
	n.t.Helper()
	testkit.Eventually(n.t, 2*patience, device+" to be let in", func() bool {
		var status int
		if c, status, _ = n.tries(device); status != http.StatusSwitchingProtocols {
			c.Close()
			return false
		}
		return true
	})
	c.wantText("welcome")
	return c
}

// states of a node, as they grow worse.
var states = []string{"well", "busy", "strained", "overloaded"}

// load is the state of a node, and since when.
func (n *node) load() (state int, since string) {
	n.t.Helper()
	_, node := n.api(http.MethodGet, "/v1/node", nil)
	load, _ := node["load"].(map[string]any)
	name, _ := load["state"].(string)
	since, _ = load["since"].(string)
	return slices.Index(states, name), since
}

// listed is how a service is answered that asks for devices, as the REST API would have it.
func (n *node) listed(services *service.Client) int {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), 2*patience)
	defer cancel()
	_, err := services.Presence().List(ctx, &v1.ListDevicesRequest{})
	switch code := grpcstatus.Code(err); {
	case code == codes.OK:
		return http.StatusOK
	case code == codes.Unavailable && containsAll(err.Error(), "The node has too much to do"):
		return http.StatusServiceUnavailable
	}
	n.t.Errorf("by gRPC: %v", err)
	return 0
}

// wantRung looks at what is refused, and holds it against the state that the node is in. If
// that changes meanwhile, nothing is said.
func (n *node) wantRung(turn int, services *service.Client) {
	n.t.Helper()
	before, since := n.load()
	wrong := ""
	want := func(what string, from, status int) {
		if refused := status == http.StatusServiceUnavailable; refused != (before >= from) {
			wrong += fmt.Sprintf("; %s is answered %d", what, status)
		}
	}
	c, stranger, after := n.tries(fmt.Sprint("stranger", turn))
	c.Close()
	want("a stranger", 2, stranger)
	if stranger == http.StatusServiceUnavailable && after < 1 {
		wrong += "; it is not told when to come back"
	}
	c, known, _ := n.tries("known")
	c.Close()
	want("who is known", 3, known)
	for path, from := range map[string]int{
		"/v1/tail?since=all&follow=false": 1, "/v1/devices": 3,
		"/v1/devices/default/here": 9, "/v1/limits": 9, "/metrics": 9, "/healthz": 9, "/readyz": 9,
	} {
		status, body := n.apiRaw(http.MethodGet, path, nil)
		want(path, from, status)
		if status == http.StatusServiceUnavailable && !containsAll(string(body), "urn:edgeloop:problem:overloaded") {
			wrong += fmt.Sprintf("; %s: %.200s", path, body)
		}
	}
	status, _ := n.apiRaw(http.MethodHead, "/v1/tail", nil)
	want("a tail", 2, status)
	want("a page of devices by gRPC", 3, n.listed(services))
	if before >= 1 {
		status, _ = n.apiRaw(http.MethodPost, "/v1/log/backup", nil)
		want("a backup", 1, status)
	}
	if state, again := n.load(); wrong != "" && state == before && again == since {
		n.t.Errorf("the node is %s%s", states[state], wrong)
	}
}

// Messages that do not end take the memory of a node with little of it. It says so by a named
// state, and refuses its rungs: who is not connected, backups, tails, lists. A connected device
// does not notice: it sends and is acknowledged, gets its command, and connects again. When the
// memory is free again, the node goes back by itself, one rung after the other.
func TestOverload_FromOutside(t *testing.T) {
	t.Parallel()
	const size = 1 << 20
	grpc := freeAddr(t)
	n := prepare(t, "--auth=none", "--max-message="+strconv.Itoa(size), "--heartbeat=5m", "--idle-timeout=10m", "--grpc-listen", grpc)
	n.env = []string{"GOMEMLIMIT=64MiB"}
	n.boot()
	g := &grpcNode{node: n, grpc: grpc}
	services := g.client(g.own())
	here := n.comes("here")
	n.comes("known").Close()
	n.wantMetric("edgeloop_devicemgr_online_devices", "", 1)
	var fat []*rawConn
	for i := range 64 { // all of its limit
		fat = append(fat, n.comes(fmt.Sprint("fat", i)))
	}
	for _, c := range fat {
		most := frame(fin|opText, strings.Repeat("x", size))
		c.say(most[:len(most)-1])
	}
	testkit.Eventually(t, 2*patience, "the node to be overloaded", func() bool {
		return n.metric("edgeloop_overload_level", `cause="memory"`) == 3
	})
	n.wantRung(0, services)
	n.want("the node to warn", "load_overloaded")
	n.wantService(here)
	if newcomers, state := n.metric("edgeloop_overload_refused_total", `load="newcomer"`), n.metric("edgeloop_overload_state", `state="overloaded"`); newcomers < 1 || state != 1 {
		t.Errorf("%v refusals of who is known are counted, overloaded is %v", newcomers, state)
	}

	for _, c := range fat {
		c.Close()
	}
	var looked time.Time
	turn := 1
	testkit.Eventually(t, 4*patience, "the node to be well", func() bool {
		if time.Since(looked) < 500*time.Millisecond {
			return false
		}
		n.wantRung(turn, services)
		turn++
		looked = time.Now()
		state, _ := n.load()
		return state == 0
	})
	for _, state := range states {
		if got := n.metric("edgeloop_overload_changes_total", `state="`+state+`"`); got < 1 {
			t.Errorf("the node was never %s on its way", state)
		}
	}
	n.logged("the node has more to do than it can", "the node has less to do again")
	n.stop()
}

// wantService has the device that is connected served, and let in again, while all others are
// refused.
func (n *node) wantService(here *rawConn) {
	n.t.Helper()
	here.say(frame(fin|opText, `{"type":"telemetry","seq":1,"data":1}`))
	here.wantText("ack")
	if status, _ := n.api(http.MethodPost, "/v1/devices/default/here/commands", map[string]any{"name": "blink"}); status != http.StatusAccepted {
		n.t.Errorf("a command is answered %d", status)
	}
	here.wantText("command")
	defer here.Close() // it answers no Close
	again, status, _ := n.tries("here")
	if status != http.StatusSwitchingProtocols {
		n.t.Fatalf("a connected device that comes again is answered %d", status)
	}
	again.wantText("welcome")
	again.say(frame(fin|opText, `{"type":"telemetry","seq":2,"data":2}`))
	again.wantText("ack")
	again.Close()
}
