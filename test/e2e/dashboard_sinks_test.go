package e2e_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// fact is JavaScript for what the only sink's card says under a label.
func fact(label string) string {
	return fmt.Sprintf(`[...document.querySelectorAll("#sink-list div")].find((e) => e.key === %q)?.lastChild.textContent`, label)
}

// An operator sees how far a sink is behind, since when and why; pauses and resumes it by
// keyboard when the token allows that, and is not offered it otherwise.
func TestDashboard_Sinks(t *testing.T) {
	t.Parallel()
	r := startReceiver(t)
	n := prepare(t, "--auth=none", withSinks(t, r.hookTo()))
	n.env = []string{"HOOK_SECRET=" + hookSecret}
	n.boot()
	r.kill()
	conn := upgradeRaw(t, n, "?device=d1", "")
	say := func(seq int) {
		t.Helper()
		conn.say(frame(fin|opText, fmt.Sprintf(`{"type":"telemetry","seq":%d,"data":1}`, seq)))
		conn.wantText("ack")
	}
	for seq := 1; seq <= 3; seq++ {
		say(seq)
	}
	d := openDashboard(newTab(t), t, "http://"+n.admin+"/", n.adminToken())
	const state = `document.querySelector("#sink-list .badge")?.textContent`
	d.wait(state + ` === "waiting" && ` + fact("lag") + `.startsWith("3 records, ")`)
	d.wait(`/^3 records, [0-9.]+\sK?i?B, \d+\s(s|min)$/.test(` + fact("lag") + `)`) // the bytes when the log was looked at
	if oldest := ask[string](d, fact("oldest unconfirmed")); !strings.Contains(oldest, "s ago (") && !strings.Contains(oldest, "min ago (") {
		t.Errorf("the oldest unconfirmed record is said to be %q", oldest)
	}
	if why := ask[string](d, `document.querySelector("#sink-list .error").textContent`); !containsAll(why, "Last error, ", "refused") {
		t.Errorf("the last error is %q", why)
	}
	legible(d, "a sink that waits")
	d.resize(360)
	if got := ask[int](d, "document.documentElement.scrollWidth"); got > 360 {
		t.Errorf("at 360 px the page is %d wide", got)
	}
	r.boot()
	d.wait(state + ` === "running" && ` + fact("lag") + ` === "none" && ` + fact("confirmed") + `.startsWith("3 records")`)
	d.wait(fact("throughput") + `.endsWith("/s")`)

	button := func(action string) string {
		return fmt.Sprintf(`document.querySelector("#sink-list button[data-action=%s]")`, action)
	}
	d.do(chromedp.Evaluate[chromedp.Void](button("pause")+".focus()"), chromedp.KeyEvent(kb.Enter))
	d.wait(state + ` === "paused" && document.activeElement === ` + button("resume"))
	if got := n.sink()["state"]; got != "paused" {
		t.Errorf("the node says that the sink is %v", got)
	}
	say(4)
	d.wait(fact("lag") + `.startsWith("1 record, ")`)
	d.do(chromedp.KeyEvent(kb.Enter))
	d.wait(state + ` === "running" && document.activeElement === ` + button("pause"))
	r.waitHasLine(`"seq":4`)

	reader := strings.TrimSpace(n.tool("token", "--admin", "reader", "--scope", "read"))
	n.reload("")
	d.do(chromedp.Click("#other-token"))
	d.typeToken(reader)
	d.wait(`document.getElementById("holder").textContent === "reader" && document.body.dataset.view === "live" && ` + state + ` === "running"`)
	d.wait(`[...document.querySelectorAll("#sink-list button")].every((b) => !b.checkVisibility())`)
}
