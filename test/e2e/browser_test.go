package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"testing"

	"github.com/chromedp/chromedp"

	"edgeloop/internal/testkit"
)

// page is a device in a browser: it shows the state of its connection, sends a
// reading when the button is pressed, and answers commands.
const page = `<!doctype html><title>device</title>
<p id=state>connecting</p><p id=ack></p><p id=command></p><button id=send>send</button>
<script>
const show = (id, text) => document.getElementById(id).textContent = text;
const ws = new WebSocket(%q, ["edgeloop.v1.json", "bearer." + %q]);
let seq = 0;
ws.onopen = () => show("state", "open " + ws.protocol);
ws.onclose = (e) => show("state", "closed " + e.code + " " + e.reason);
ws.onmessage = (e) => {
  const m = JSON.parse(e.data);
  if (m.type === "welcome") { seq = m.upto; show("state", "welcome"); }
  if (m.type === "ack") show("ack", "ack " + m.upto);
  if (m.type === "command") {
    show("command", m.name);
    ws.send(JSON.stringify({type: "reply", id: m.id, ok: true, data: {title: document.title}}));
  }
};
document.getElementById("send").onclick = () =>
  ws.send(JSON.stringify({type: "telemetry", seq: ++seq, topic: "click", ts: Date.now(), data: {ua: navigator.userAgent}}));
</script>`

// A page in Chromium is a device like any other: its token travels as a
// subprotocol, since a page cannot set headers.
func TestBrowser_PageAsDevice(t *testing.T) {
	t.Parallel()
	n := start(t, "--drain-window=1s")
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, page, n.url(""), n.token("page"))
	}))
	t.Cleanup(site.Close)

	tab := newTab(t)
	if err := chromedp.Do(tab,
		chromedp.Navigate(site.URL),
		waitText("#state", "welcome"),
		chromedp.Click("#send"),
		waitText("#ack", "ack 1"),
		chromedp.Click("#send"),
		waitText("#ack", "ack 2"),
	); err != nil {
		t.Fatal(err)
	}
	log := n.tail("--device", "page")
	if len(log) != 2 || log[1].Topic != "click" || !containsAll(string(log[1].Data), "Chrome") {
		t.Errorf("the log has %+v", log)
	}

	answers := n.command("/v1/devices/default/page/commands?wait=1m", map[string]any{"name": "who-are-you"})
	got := testkit.Receive(t, patience, "the API's answer", answers)
	if got.status != http.StatusOK || fmt.Sprint(got.body["data"]) != "map[title:device]" {
		t.Errorf("the API answered %+v", got)
	}
	if err := chromedp.Do(tab, waitText("#command", "who-are-you")); err != nil {
		t.Fatal(err)
	}

	n.stop()
	if err := chromedp.Do(tab, waitText("#state", "closed 1001")); err != nil {
		t.Fatal(err)
	}
}

// newTab opens a tab of a Chromium that asks nobody on the network for anything.
func newTab(t *testing.T, more ...chromedp.ExecAllocatorOption) context.Context {
	t.Helper()
	chromium, err := exec.LookPath("chromium")
	need(t, "chromium", err == nil)
	profile, err := os.MkdirTemp("", "edgeloop-e2e-chromium-")
	if err != nil {
		t.Fatal(err)
	}
	allocator, cancelAllocator := chromedp.NewExecAllocator(context.Background(), append(more,
		chromedp.ExecPath(chromium),
		chromedp.UserDataDir(profile),
		chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true),
		chromedp.WSURLReadTimeout(patience),
	)...)
	tab, cancelTab := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		if err := chromedp.Cancel(tab); err != nil {
			t.Logf("close chromium: %v", err)
		}
		cancelTab()
		cancelAllocator()
		_ = os.RemoveAll(profile) // a process of it may still write there, which is nobody's fault
	})
	return tab
}

// waitText waits until an element's text begins with text.
func waitText(selector, text string) chromedp.Action[chromedp.Void] {
	return chromedp.Poll[chromedp.Void](fmt.Sprintf("document.querySelector(%q)?.textContent.startsWith(%q)", selector, text),
		chromedp.WithPollingTimeout(patience))
}
