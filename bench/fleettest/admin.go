package fleettest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// Admin is just enough of a node's admin API for commands and broadcasts. The
// devices are those of its Node and name themselves in the query (no tokens).
type Admin struct {
	Node *Node
	// Fault is what happens to every command, and to broadcasts from the second
	// on at one device: Sound, Lose or Duplicate.
	Fault Fault
	// Break has every command from this number on answered with 500 after it reached
	// its device; 0: none.
	Break int
	// Delay is how long a command takes before it is looked at.
	Delay time.Duration
	// Status is the status of every answer where it is not 0, and Body its body.
	Status int
	Body   string

	mu   sync.Mutex
	last int // number of the last command or broadcast
}

// Start serves the API until the test ends and returns its URL.
func (a *Admin) Start(t testing.TB) (url string) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/devices/{tenant}/{device}/commands", a.command)
	mux.HandleFunc("POST /v1/broadcast", a.broadcast)
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv.URL
}

// next numbers commands and broadcasts.
func (a *Admin) next() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last++
	return a.last
}

func (a *Admin) command(w http.ResponseWriter, r *http.Request) {
	if a.Status != 0 {
		http.Error(w, a.Body, a.Status)
		return
	}
	wait, err := time.ParseDuration(cmp.Or(r.URL.Query().Get("wait"), "0s"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	time.Sleep(a.Delay)
	number := a.next()
	id := fmt.Sprintf("c%d", number)
	replied := a.Node.expect(id)
	frame := commandFrame(r, id)
	sent := 0
	for _, p := range a.Node.online() {
		if !strings.Contains(p.Request+"&", "device="+r.PathValue("device")+"&") {
			continue
		}
		sent++
		for range a.count() {
			_ = p.Send(ws.OpText, frame) // a device that is gone does not reply
		}
	}
	if sent == 0 {
		http.Error(w, "no such device", http.StatusNotFound)
		return
	}
	if a.Break > 0 && number >= a.Break {
		http.Error(w, "broken", http.StatusInternalServerError)
		return
	}
	if wait == 0 {
		w.WriteHeader(http.StatusAccepted)
		_, _ = fmt.Fprintf(w, `{"id":%q,"state":"sent"}`, id) // the test notices
		return
	}
	select {
	case <-replied:
		_, _ = fmt.Fprintf(w, `{"id":%q,"ok":true}`, id) // the test notices
	case <-time.After(wait):
		http.Error(w, "no reply", http.StatusGatewayTimeout)
	}
}

func (a *Admin) broadcast(w http.ResponseWriter, r *http.Request) {
	frame := commandFrame(r, "")
	number := a.next()
	for i, p := range a.Node.online() {
		times := 1
		if number > 1 && i == 0 {
			times = a.count()
		}
		for range times {
			_ = p.Send(ws.OpText, frame) // a device that is gone has not heard it
		}
	}
	w.WriteHeader(http.StatusAccepted)
}

// count is how often a message reaches a device that the fault is about.
func (a *Admin) count() int {
	switch a.Fault {
	case Lose:
		return 0
	case Duplicate:
		return 2
	}
	return 1
}

// commandFrame is the request's body as a device hears it.
func commandFrame(r *http.Request, id string) []byte {
	var m struct {
		Name string          `json:"name"`
		Data json.RawMessage `json:"data"`
	}
	if json.NewDecoder(r.Body).Decode(&m) != nil || m.Data == nil {
		return []byte(`{"type":"error","code":"bad_request","message":"the API was not understood"}`)
	}
	if id != "" {
		id = fmt.Sprintf(`"id":%q,`, id)
	}
	return fmt.Appendf(nil, `{"type":"command",%s"name":%q,"data":%s}`, id, m.Name, m.Data)
}
