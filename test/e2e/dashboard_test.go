package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"edgeloop/internal/testkit"
)

// A dashboard is the page of a node in a tab of Chromium.
type dashboard struct {
	t   *testing.T
	tab context.Context
}

// openDashboard loads the page at addr, and types the token as an operator would.
func openDashboard(tab context.Context, t *testing.T, addr, token string) *dashboard {
	t.Helper()
	d := &dashboard{t: t, tab: tab}
	d.do(chromedp.Navigate(addr), waitTrue(`document.getElementById("login").open`))
	d.typeToken(token)
	return d
}

func (d *dashboard) typeToken(token string) {
	d.t.Helper()
	d.do(chromedp.SendKeys(chromedp.CSS("#token"), token+kb.Enter))
}

func (d *dashboard) do(steps ...chromedp.Action[chromedp.Void]) {
	d.t.Helper()
	if err := chromedp.Do(d.tab, steps...); err != nil {
		d.t.Fatalf("%v\nthe page says: %s", err, d.words())
	}
}

// words is what can be read in the page.
func (d *dashboard) words() string {
	text, err := chromedp.Run(d.tab, chromedp.Evaluate[string]("document.body.dataset.view + ' | ' + document.body.innerText"))
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%.1500s", strings.Join(strings.Fields(text), " "))
}

// wait waits until a condition in JavaScript is met.
func (d *dashboard) wait(condition string) {
	d.t.Helper()
	d.do(waitTrue(condition))
}

// resize gives the page a width, and waits until it has it.
func (d *dashboard) resize(width int64) {
	d.t.Helper()
	d.do(chromedp.EmulateViewport(width, 740), waitTrue(fmt.Sprintf("innerWidth === %d", width)))
}

// refresh has the page ask at once, as when somebody comes back to its tab.
func (d *dashboard) refresh() {
	d.t.Helper()
	d.do(chromedp.Evaluate[chromedp.Void](`document.dispatchEvent(new Event("visibilitychange"))`))
}

func ask[T any](d *dashboard, expression string) T {
	d.t.Helper()
	v, err := chromedp.Run(d.tab, chromedp.Evaluate[T](expression))
	if err != nil {
		d.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

func waitTrue(condition string) chromedp.Action[chromedp.Void] {
	return chromedp.Poll[chromedp.Void](condition, chromedp.WithPollingTimeout(patience))
}

func (n *node) adminToken() string {
	n.t.Helper()
	b, err := os.ReadFile(filepath.Join(n.dir, "admin.token"))
	if err != nil {
		n.t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

// rowOf finds a device's row in JavaScript.
func rowOf(device string) string {
	return fmt.Sprintf(`[...document.querySelectorAll("#device-rows tr")].find((r) => r.key === "default/%s")`, device)
}

// An operator reads the table by keyboard and marks something in it, while the device
// sends: what is focused, chosen and selected stays so, in the very same row.
func TestDashboard_KeepsFocusAndSelection(t *testing.T) {
	t.Parallel()
	n := start(t, "--auth=none")
	devices := map[string]*rawConn{}
	for _, name := range []string{"d1", "d2", "d3"} {
		devices[name] = upgradeRaw(t, n, "?device="+name, "")
	}
	d := openDashboard(newTab(t), t, "http://"+n.admin+"/", n.adminToken())
	row := rowOf("d2")
	d.wait(row)
	d.do(chromedp.Evaluate[chromedp.Void](rowOf("d1")+".focus()"),
		chromedp.KeyEvent(kb.ArrowDown),
		chromedp.KeyEvent(kb.Enter),
		waitText("#detail-name", "default / d2"))
	d.do(chromedp.Evaluate[chromedp.Void](row + `.mark = "the same"; (({firstChild: t}) => getSelection().setBaseAndExtent(t, 0, t, t.length))(` + row + `.children[4])`))
	refresh := func(seq int) {
		t.Helper()
		devices["d2"].say(frame(fin|opText, fmt.Sprintf(`{"type":"telemetry","seq":%d,"data":1}`, seq)))
		devices["d2"].wantText("ack")
		if seq != 9 { // the first comes by itself
			d.refresh()
		}
		d.wait(fmt.Sprintf(`%s.children[4].textContent === "%d"`, row, seq))
	}
	for seq := 9; seq < 12; seq++ {
		if seq == 10 { // another device comes, in front of it
			upgradeRaw(t, n, "?device=d1a", "")
		}
		refresh(seq)
		if !ask[bool](d, `document.activeElement.mark === "the same" && document.activeElement.key === "default/d2"`) {
			t.Fatalf("refresh to %d: the focus is at %s", seq, ask[string](d, "document.activeElement.outerHTML"))
		}
		if got := ask[string](d, `getSelection().toString()`); got != fmt.Sprint(seq) {
			t.Errorf("refresh to %d: selected is %q", seq, got)
		}
		if got := ask[int](d, `document.querySelectorAll("#device-rows [aria-selected=true]").length`); got != 1 || !ask[bool](d, row+`.ariaSelected === "true"`) {
			t.Errorf("refresh to %d: %d rows are chosen", seq, got)
		}
	}
	// Nor is what somebody types disturbed.
	d.do(chromedp.SendKeys(chromedp.CSS("#command-name"), "reboot"),
		chromedp.Evaluate[chromedp.Void](`document.getElementById("command-name").setSelectionRange(2, 4)`))
	for seq := 12; seq < 15; seq++ {
		refresh(seq)
	}
	if got := ask[string](d, `document.activeElement.id + document.activeElement.value.slice(document.activeElement.selectionStart, document.activeElement.selectionEnd)`); got != "command-namebo" {
		t.Errorf("after three refreshes the field has %q", got)
	}
	// A device that leaves the list leaves the focus to its neighbour.
	d.do(chromedp.Evaluate[chromedp.Void](row+".focus()"),
		chromedp.Evaluate[chromedp.Void](`document.getElementById("online").value = "true"`))
	devices["d2"].Close()
	d.wait(`document.activeElement.key === "default/d3"`)
}

// held is a proxy that has the page under a path, and holds calls of the API back until
// it is released.
func held(t *testing.T, n *node) (addr string, release func()) {
	t.Helper()
	gate := make(chan struct{})
	release = sync.OnceFunc(func() { close(gate) })
	target, err := url.Parse("http://" + n.admin)
	if err != nil {
		t.Fatal(err)
	}
	to := httputil.NewSingleHostReverseProxy(target)
	to.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	site := httptest.NewServer(http.StripPrefix("/edge/one", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v1/") {
			<-gate
		}
		to.ServeHTTP(w, r)
	})))
	t.Cleanup(site.Close)
	t.Cleanup(release)
	return site.URL + "/edge/one/", release
}

// An operator is told which it is: no answer yet, a token that is not known, a node that
// has stopped, a proxy that finds no node, or a fleet without devices.
func TestDashboard_SaysWhichItIs(t *testing.T) {
	t.Parallel()
	n := start(t, "--auth=none")
	tab := newTab(t)
	seen := map[string]string{}
	note := func(d *dashboard, state string) {
		t.Helper()
		text := ask[string](d, `["state", "reasons", "devices-empty", "login-fault"].map((id) => document.getElementById(id).innerText).join(" | ")`)
		for other, was := range seen {
			if was == text {
				t.Errorf("%s and %s look alike: %s", state, other, text)
			}
		}
		seen[state] = text
	}
	view := func(name string) string { return fmt.Sprintf("document.body.dataset.view === %q", name) }

	addr, release := held(t, n)
	d := openDashboard(tab, t, addr, n.adminToken())
	d.wait(view("loading") + ` && document.getElementById("state").innerText === "asking the node"`)
	note(d, "loading")
	release()
	d.wait(view("live") + ` && document.getElementById("state").innerText === "running"`)
	d.wait(`document.getElementById("devices-empty").innerText.startsWith("No device has connected yet")`)
	note(d, "an empty fleet")

	d = openDashboard(tab, t, "http://"+n.admin+"/", "surely-another-token")
	d.wait(view("token") + ` && document.getElementById("login").open`)
	note(d, "a wrong token")
	if text := d.words(); strings.Contains(text, "No device has connected") || !containsAll(text, "unknown token", "does not know this token") {
		t.Errorf("with a wrong token the page says: %s", text)
	}
	d.typeToken(n.adminToken())
	d.wait(view("live"))
	d.do(chromedp.SendKeys(chromedp.CSS("#prefix"), "x"))
	d.wait(`document.getElementById("devices-empty").innerText.startsWith("No device matches")`)
	note(d, "a filter that nothing matches")

	n.stop()
	d.refresh()
	d.wait(view("away"))
	note(d, "a stopped node")
	if text := d.words(); !containsAll(text, "does not answer", "The figures are of") {
		t.Errorf("after the node has stopped the page says: %s", text)
	}
	n.boot()
	d.do(chromedp.Navigate(addr)) // its token is kept in the tab
	d.wait(view("live"))
	n.stop()
	d.refresh()
	// An answer that the stop cut short is told first.
	d.wait(view("away") + ` && ["does not answer", "status 502"].every((s) => document.body.innerText.includes(s))`)
	note(d, "a proxy without its node")
}

// What the node no longer confirms is dimmed and stays legible, and is bright again when
// it answers; a device that is away has no protocol.
func TestDashboard_DimsWhatIsOld(t *testing.T) {
	t.Parallel()
	n := start(t, "--auth=none", "--drain-window=1s")
	conn := upgradeRaw(t, n, "?device=pump", "")
	conn.say(frame(fin|opText, `{"type":"telemetry","seq":1,"data":1}`))
	conn.wantText("ack")
	d := openDashboard(newTab(t), t, "http://"+n.admin+"/", n.adminToken())
	protocol := rowOf("pump") + ".children[5].textContent"
	d.wait(rowOf("pump") + " && " + protocol + ` === "edgeloop.v1.json"`)
	const colours = `["#device-rows tr td:nth-child(2)", "#devices-online", "#connections"].map((s) => getComputedStyle(document.querySelector(s)).color)`
	fresh := ask[[]string](d, colours)
	n.stop()
	d.refresh()
	d.wait(`document.body.dataset.view === "away"`)
	for i, old := range ask[[]string](d, colours) {
		if old == fresh[i] {
			t.Errorf("figure %d is as bright as before: %s", i, old)
		}
	}
	legible(d, "dimmed")
	n.boot()
	d.refresh()
	d.wait(`document.body.dataset.view === "live" && ` + protocol + ` === ""`)
	if got := ask[[]string](d, colours); fmt.Sprint(got) != fmt.Sprint(fresh) {
		t.Errorf("when it answers again the figures are %v, before %v", got, fresh)
	}
	for _, scheme := range []string{"light", "dark"} {
		d.do(emulateScheme(scheme))
		legible(d, scheme)
	}
}

// On a narrow screen nothing lies beyond the edge, and names are there in full; a long
// list comes in pages that say what they leave out.
func TestDashboard_NarrowScreenAndPages(t *testing.T) {
	t.Parallel()
	n := start(t, "--auth=none")
	const devices = 130
	for i := range devices {
		upgradeRaw(t, n, fmt.Sprintf("?device=a-pump-with-a-very-long-name-in-hall-number-%03d", i), "")
	}
	tab := newTab(t)
	if err := chromedp.Do(tab, chromedp.EmulateViewport(360, 740)); err != nil {
		t.Fatal(err)
	}
	d := openDashboard(tab, t, "http://"+n.admin+"/", n.adminToken())
	d.wait(`document.querySelectorAll("#device-rows tr").length === 100 && document.getElementById("page-note").innerText === "1 to 100 of 130"`)
	for _, width := range []int64{360, 800, 1400} {
		d.resize(width)
		if got := ask[int64](d, "document.documentElement.scrollWidth"); got > width {
			t.Errorf("at %d px the page is %d wide", width, got)
		}
		if got := ask[float64](d, `document.documentElement.scrollHeight - document.querySelector("main").getBoundingClientRect().bottom - scrollY`); got > 740 {
			t.Errorf("at %d px %.0f px are empty below the page", width, got)
		}
	}
	d.resize(360)
	cut := ask[[]string](d, `[...document.querySelectorAll("#device-rows td:nth-child(2)")]
		.filter((c) => c.scrollWidth > c.clientWidth || c.getBoundingClientRect().right > 360 || c.getBoundingClientRect().width < 100)
		.map((c) => c.textContent)`)
	if len(cut) > 0 {
		t.Errorf("at 360 px %d names are cut, such as %s", len(cut), cut[0])
	}
	d.do(chromedp.Click("#next"))
	d.wait(`document.querySelectorAll("#device-rows tr").length === 30 && document.getElementById("page-note").innerText === "101 to 130 of 130"`)
	d.do(chromedp.Click("#back"))
	d.wait(`document.querySelectorAll("#device-rows tr").length === 100`)
	testkit.Eventually(t, patience, "one row to be the stop of Tab", func() bool {
		return ask[int](d, `document.querySelectorAll("#device-rows [tabindex='0']").length`) == 1
	})
}
