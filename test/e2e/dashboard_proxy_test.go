package e2e_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// Behind a real nginx, under a path, with the configuration of the examples: the page is
// whole, and the tail shows what a device sends while it sends, not a buffer later.
func TestProxies_DashboardUnderAPath(t *testing.T) {
	t.Parallel()
	n := start(t, "--auth=none")
	front := freeAddr(t)
	startProxy(t, "nginx-dashboard.conf", map[string]string{"127.0.0.1:9446": front, "127.0.0.1:9090/": n.admin + "/"},
		"nginx", "-g", "daemon off;", "-c")
	waitListening(t, front)
	conn := upgradeRaw(t, n, "?device=pump", "")
	d := openDashboard(newTab(t), t, "http://"+front+"/edge-1", n.adminToken())
	if at := ask[string](d, "location.pathname"); at != "/edge-1/" {
		t.Errorf("the page is at %s", at)
	}
	d.wait(rowOf("pump"))
	if sheets := ask[int](d, "document.styleSheets[0].cssRules.length"); sheets == 0 {
		t.Errorf("the page has no style")
	}
	d.do(chromedp.Click("#tail-toggle"))
	d.wait(`document.getElementById("tail-note").textContent.startsWith("From now on")`)
	// The first may be sent before the tail has begun. All of them fit into a buffer of nginx.
	for seq := 1; ; seq++ {
		conn.say(frame(fin|opText, fmt.Sprintf(`{"type":"telemetry","seq":%d,"data":{"bar":%d}}`, seq, seq)))
		conn.wantText("ack")
		shown := fmt.Sprintf(`document.querySelector("#tail li:last-child")?.textContent.includes("pump telemetry #%d")`, seq)
		err := chromedp.Do(d.tab, chromedp.Poll[chromedp.Void](shown, chromedp.WithPollingTimeout(patience/6)))
		if err == nil {
			return
		}
		if seq == 5 {
			t.Fatalf("of %d records the tail shows none: %v\n%s", seq, err, d.words())
		}
	}
}

// A user with a token of one tenant sees and may do what the token allows, and nothing that
// concerns the node.
func TestDashboard_OfATenant(t *testing.T) {
	t.Parallel()
	n := start(t)
	for _, tenant := range []string{"acme", "globex"} {
		upgradeRaw(t, n, "?token="+n.token("pump-of-"+tenant, "--tenant", tenant), "")
	}
	token := strings.TrimSpace(n.tool("token", "--admin", "guest", "--scope", "read", "--tenant", "acme"))
	n.reload("")
	d := openDashboard(newTab(t), t, "http://"+n.admin+"/", token)
	d.wait(`document.body.dataset.view === "live" && document.querySelectorAll("#device-rows tr").length === 1`)
	text := d.words()
	if !containsAll(text, "pump-of-acme", "guest, tenant acme", "answers") || strings.Contains(text, "globex") {
		t.Errorf("the page says %s", text)
	}
	d.do(chromedp.Click("#device-rows tr"), waitText("#detail-name", "acme / pump-of-acme"))
	for _, id := range []string{"counts", "sinks", "command", "kick", "ban"} {
		if ask[bool](d, fmt.Sprintf("document.getElementById(%q).checkVisibility()", id)) {
			t.Errorf("the page offers %s", id)
		}
	}
}
