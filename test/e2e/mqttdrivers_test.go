package e2e_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// matrixOrder is what a client is to do. Topic and Payload of "connect" are those of its Will.
type matrixOrder struct {
	Do        string `json:"do"` // connect, subscribe, publish, disconnect
	As        string `json:"as"` // the name of the client
	URL       string `json:"url,omitempty"`
	Version   int    `json:"version,omitempty"`
	ID        string `json:"id,omitempty"`
	User      string `json:"user,omitempty"` // "": any
	Password  string `json:"password,omitempty"`
	KeepAlive int    `json:"keepalive,omitempty"` // seconds
	Kept      bool   `json:"kept,omitempty"`      // its session
	Topic     string `json:"topic,omitempty"`
	Payload   string `json:"payload,omitempty"`
	Size      int    `json:"size,omitempty"` // of a payload of zeros
	QoS       int    `json:"qos"`
	Retain    bool   `json:"retain"`
}

// matrixEvent is what happened to a client.
type matrixEvent struct {
	Event   string // connected, refused, subscribed, published, failed, message, closed
	As      string
	Present bool
	Code    int
	Topic   string
	Payload string
	QoS     int
	Retain  bool
}

// matrixDriver is the clients of one library.
type matrixDriver struct {
	do     func(o matrixOrder)
	events <-chan matrixEvent
	early  []matrixEvent // that nobody has awaited yet
}

// await returns the next event of a client that is one of those named.
func (d *matrixDriver) await(t *testing.T, as string, events ...string) matrixEvent {
	t.Helper()
	return d.awaitOneOf(t, []string{as}, events...)
}

// awaitOneOf is await for the first of several clients.
func (d *matrixDriver) awaitOneOf(t *testing.T, as []string, events ...string) matrixEvent {
	t.Helper()
	is := func(e matrixEvent) bool { return slices.Contains(as, e.As) && slices.Contains(events, e.Event) }
	if i := slices.IndexFunc(d.early, is); i >= 0 {
		e := d.early[i]
		d.early = slices.Delete(d.early, i, i+1)
		return e
	}
	for deadline := time.After(patience); ; {
		select {
		case e, ok := <-d.events:
			if !ok {
				t.Fatalf("%s: the clients are gone, want %v; there was %+v", as, events, d.early)
			}
			if is(e) {
				return e
			}
			d.early = append(d.early, e)
		case <-deadline:
			t.Fatalf("%s: no %v; there was %+v", as, events, d.early)
		}
	}
}

// matrixDrivers start the clients of a library.
var matrixDrivers = map[string]func(t *testing.T, n *matrixNode, c matrixCase) *matrixDriver{
	"Paho Go": driveGo,
	"Paho": func(t *testing.T, n *matrixNode, _ matrixCase) *matrixDriver {
		return driveProcess(t, "Paho", python, "py/mqttmatrix.py", n.ca.File)
	},
	"MQTT.js": func(t *testing.T, n *matrixNode, _ matrixCase) *matrixDriver {
		return driveProcess(t, "MQTT.js", "node", "node/mqttmatrix.js", n.ca.File)
	},
	"MQTT.js in Chromium": drivePage,
}

// driveProcess has a program carry out orders, a line of JSON each.
func driveProcess(t *testing.T, library, name string, args ...string) *matrixDriver {
	t.Helper()
	lib := mqttLibraries[library]
	need(t, lib.name, lib.there())
	cmd := exec.Command(name, args...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	events := make(chan matrixEvent, 256)
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer close(events)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var e matrixEvent
			if json.Unmarshal(lines.Bytes(), &e) == nil {
				events <- e
			}
		}
	}()
	t.Cleanup(func() {
		_ = in.Close() // it ends with its input
		late := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		defer late.Stop()
		for range events {
		}
		<-read
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v", library, err)
		}
	})
	enc := json.NewEncoder(in)
	return &matrixDriver{events: events, do: func(o matrixOrder) {
		if err := enc.Encode(o); err != nil {
			t.Fatal(err)
		}
	}}
}

// drivePage has a page in Chromium carry out orders.
func drivePage(t *testing.T, n *matrixNode, _ matrixCase) *matrixDriver {
	t.Helper()
	lib := mqttLibraries["MQTT.js"]
	need(t, lib.name, lib.there())
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `<!doctype html><script src=mqtt.js></script><script src=matrix.js></script>
<script>const happened = []; const order = matrix(mqtt, (e) => happened.push(e));</script>`)
	})
	mux.HandleFunc("GET /mqtt.js", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, "node/node_modules/mqtt/dist/mqtt.min.js")
	})
	mux.HandleFunc("GET /matrix.js", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, "node/mqttmatrix.js") })
	site := httptest.NewServer(mux)
	t.Cleanup(site.Close)
	tab := newTab(t, chromedp.Flag("ignore-certificate-errors-spki-list", (&secureNode{node: n.node, addr: n.doors["wss"], ca: n.ca}).pin()))
	if err := chromedp.Do(tab, chromedp.Navigate(site.URL)); err != nil {
		t.Fatal(err)
	}
	events := make(chan matrixEvent, 256)
	ctx, stop := context.WithCancel(context.Background())
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		defer close(events)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			all, err := chromedp.Run(tab, chromedp.Evaluate[[]matrixEvent]("happened.splice(0)"))
			if err != nil {
				return
			}
			for _, e := range all {
				events <- e
			}
			<-tick.C
		}
	}()
	t.Cleanup(func() {
		stop()
		for range events {
		}
		<-gone
	})
	return &matrixDriver{events: events, do: func(o matrixOrder) {
		b, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		if err := chromedp.Do(tab, chromedp.Evaluate[chromedp.Void]("order("+string(b)+"), null")); err != nil {
			t.Fatal(err)
		}
	}}
}
