package gateway_test

import (
	"context"
	"testing"
	"time"

	"github.com/coder/websocket"

	"edgeloop/devicemgr"
	"edgeloop/gateway"
)

func (n *node) info(name string) gateway.DeviceInfo {
	n.Helper()
	key := devicemgr.Key{Tenant: "default", Device: name}
	s := n.gateway.Devices().Lookup(key)
	if s == nil {
		n.Fatalf("%s is not known", name)
	}
	return n.gateway.Devices().Info(s)
}

// TestInfo_PongIsASignOfLife: a device that says nothing and answers pings has been
// seen as late as its last answer.
func TestInfo_PongIsASignOfLife(t *testing.T) {
	t.Parallel()
	n := startNode(t, &memLog{}, gateway.Config{Heartbeat: 100 * time.Millisecond, IdleTimeout: patience})
	d := n.connect("quiet")
	before := n.info("quiet").LastSeen
	ctx := d.ws.CloseRead(context.Background()) // it answers pings
	n.until("an answer to a ping is noticed", func() bool { return n.info("quiet").LastSeen.After(before) })
	if ctx.Err() != nil {
		t.Error("its connection has ended")
	}
}

// TestInfo_ComingAndGoing: of a device that is here the address is known, and of one
// that has left, when and how it went.
func TestInfo_ComingAndGoing(t *testing.T) {
	t.Parallel()
	n := startNode(t, &memLog{}, gateway.Config{})
	began := time.Now().Truncate(time.Millisecond)
	for name, tc := range map[string]struct {
		leave  func(d *device)
		code   uint16
		reason string
	}{
		"closes":   {func(d *device) { _ = d.ws.Close(4123, "") }, 4123, "peer_closed"},
		"vanishes": {func(d *device) { _ = d.ws.CloseNow() }, 1006, "peer_gone"},
		"kicked": {func(d *device) {
			if err := n.gateway.Kick(devicemgr.Key{Tenant: "default", Device: "kicked"}, 1008, ""); err != nil {
				t.Error(err)
			}
			d.wantClosed(websocket.StatusPolicyViolation)
		}, 1008, "closed"},
	} {
		d := n.connect(name)
		in := n.info(name)
		if l, ok := gateway.DescribeLink(&in); !ok || l.Remote == nil || !l.Remote.IP.IsLoopback() || l.Remote.Port == 0 || in.ConnectedAt.Before(began) {
			t.Errorf("%s is online: %+v", name, in)
		}
		tc.leave(d)
		n.until(name+" to be gone", func() bool { return !n.info(name).Online })
		in = n.info(name)
		if _, ok := gateway.DescribeLink(&in); ok || in.End.At.Before(in.LastSeen.Truncate(time.Second)) || in.End.Code != tc.code || gateway.DescribeEnd(in.End) != tc.reason {
			t.Errorf("%s is gone: %+v, %s", name, in.End, gateway.DescribeEnd(in.End))
		}
	}
}
