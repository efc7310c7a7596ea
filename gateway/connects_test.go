package gateway_test

import (
	"net"
	"net/http"
	"testing"

	"github.com/coder/websocket"

	"edgeloop/gateway"
)

// connectFrom has a device connect from an address of this machine and hang up, and says
// how it was answered.
func (n *node) connectFrom(addr, query string) int {
	n.Helper()
	from := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(addr)}}
	d, status, err := n.dialWith(query, &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: &http.Transport{DialContext: from.DialContext, DisableKeepAlives: true}},
	})
	if err == nil {
		d.ws.CloseNow()
		return http.StatusSwitchingProtocols
	}
	return status
}

// A device that connects too often is told to come later, and so are those alone that share
// with it what is counted: an address, a network, a device, a tenant, or the node.
func TestConnects_Rates(t *testing.T) {
	type visit struct {
		addr, query string
		status      int
	}
	const once = 6 // a minute, one at once
	for _, c := range []struct {
		name   string
		rates  gateway.Connects
		drop   gateway.Drop
		visits []visit
	}{
		{"of an address", gateway.Connects{Address: once}, gateway.DropAddressRate, []visit{
			{"127.0.0.1", "device=a", 101}, {"127.0.0.1", "device=b", 503}, {"127.0.0.2", "device=b", 101},
		}},
		{"of a network", gateway.Connects{Prefix: once}, gateway.DropPrefixRate, []visit{
			{"127.0.0.1", "device=a", 101}, {"127.0.0.2", "device=b", 503}, {"127.0.1.2", "device=b", 101},
		}},
		{"of a device", gateway.Connects{Device: once}, gateway.DropDeviceRate, []visit{
			{"127.0.0.1", "device=a", 101}, {"127.0.1.1", "device=a", 503}, {"127.0.0.1", "device=b", 101}, {"127.0.0.1", "device=a&tenant=x", 101},
		}},
		{"of a tenant", gateway.Connects{Tenant: once}, gateway.DropTenantRate, []visit{
			{"127.0.0.1", "device=a&tenant=x", 101}, {"127.0.1.1", "device=b&tenant=x", 503}, {"127.0.0.1", "device=a", 101},
		}},
		{"of the node", gateway.Connects{Node: once}, gateway.DropNodeRate, []visit{
			{"127.0.0.1", "device=a&tenant=x", 101}, {"127.0.1.1", "device=b", 503},
		}},
		{"none", gateway.Connects{}, gateway.DropNodeRate, []visit{
			{"127.0.0.1", "device=a", 101}, {"127.0.0.1", "device=a", 101}, {"127.0.0.1", "device=a", 101},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := startNode(t, &memLog{}, gateway.Config{Connects: c.rates})
			refused := uint64(0)
			for _, v := range c.visits {
				if got := n.connectFrom(v.addr, v.query); got != v.status {
					t.Errorf("%s from %s is answered %d, want %d", v.query, v.addr, got, v.status)
				}
				if v.status == 503 {
					refused++
				}
			}
			n.until("those refused to be counted", func() bool { return n.gateway.Stats().Drops[c.drop] == refused })
			n.gateway.SetConnects(gateway.Connects{})
			if got := n.connectFrom("127.0.0.1", "device=a"); got != 101 {
				t.Errorf("without a bound the answer is %d", got)
			}
		})
	}
}
