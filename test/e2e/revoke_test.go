package e2e_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// Tokens are taken back, and a device is banned, at one node of two that share a log:
// connections end at both, the token opens none any more, also after a restart, and nobody
// else notices. Lifted, it opens one again.
func TestRevoke_OnEveryNode(t *testing.T) {
	t.Parallel()
	nats := startNATS(t)
	east := start(t, "--nats-url", nats.url(), "--node=east")
	west := start(t, "--nats-url", nats.url(), "--node=west", "--secret-file", filepath.Join(east.dir, "device.secret"), "--idle-timeout=10m")
	stolen, lost, other := east.token("stolen", "--jti", "t1"), east.token("lost"), east.token("other", "--jti", "t2")
	bearer := func(token string) string { return "Authorization: Bearer " + token + "\r\n" }
	a, b := upgradeRaw(t, east, "", bearer(stolen)), upgradeRaw(t, west, "", bearer(lost))
	stays := upgradeRaw(t, west, "", bearer(other))
	id := strings.TrimSpace(west.tool("revoke", "--jti", "t1", "--reason", "stolen"))
	east.tool("revoke", "--device", "lost", "--before", "now")
	a.wantClose(4401)
	b.wantClose(4401)
	banned := upgradeRaw(t, east, "", bearer(east.token("banned")))
	west.tool("ban", "--device", "banned", "--reason", "lost")
	banned.wantClose(4403)
	refused := func(when string) {
		t.Helper()
		for _, n := range []*node{east, west} {
			for _, token := range []string{stolen, lost} {
				if status := n.knock(token); status != http.StatusUnauthorized {
					t.Errorf("%s: a revoked token got %d", when, status)
				}
			}
		}
	}
	refused("after the revocation")
	east.kill()
	east.boot()
	refused("after a restart")
	if list := east.tool("revoked"); !containsAll(list, "t1", "lost", "stolen", id) {
		t.Errorf("the list of what is revoked:\n%s", list)
	}
	east.tool("unrevoke", id)
	west.knockUntil("the lifted token to be good", stolen, http.StatusSwitchingProtocols)
	stays.say("\x81\x80\x00\x00\x00\x00") // an empty text: an answer comes, so the connection is there
	stays.wantText("error")
	stays.Close()
	east.stop()
	west.stop()
}
