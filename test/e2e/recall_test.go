package e2e_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"edgeloop/internal/testkit"
)

// The node is killed and starts again, and the devices are away. It knows those that the
// log has something of, also who sends without sequences: it lists them, says when it
// last heard them, and keeps a command for them that names no time to live. The same of a
// log elsewhere, but for the list.
func TestRecall_RestartForgetsNobody(t *testing.T) {
	for name, flags := range map[string]func(*testing.T) []string{
		"own log":       func(*testing.T) []string { return nil },
		"log elsewhere": func(t *testing.T) []string { return []string{"--nats-url", startNATS(t).url()} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := start(t, flags(t)...)
			c := startClient(t, "python")
			began := time.Now()
			numbered, _ := c.connect(n, "numbered")
			numbered.send(message{"type": "telemetry", "seq": 7, "data": 1})
			numbered.wantAck(7)
			plain, _ := c.connect(n, "plain.1")
			plain.send(message{"type": "telemetry", "data": 1})
			testkit.Eventually(t, patience, "a record of each", func() bool { return len(n.tail()) == 2 })
			n.kill()
			n.boot()
			if name == "own log" {
				if out := n.tool("devices", "--offline"); !containsAll(out, "numbered", "plain.1", began.Local().Format(time.DateOnly)) || strings.Count(out, "\n") != 3 {
					t.Errorf("edgeloop devices printed %q", out)
				}
			}
			for device, durable := range map[string]float64{"numbered": 7, "plain.1": 0} {
				status, body := n.api(http.MethodGet, "/v1/devices/default/"+device, nil)
				seen, err := time.Parse(time.RFC3339, body["last_seen"].(string))
				if status != http.StatusOK || body["online"] != false || body["durable"] != durable || err != nil || time.Since(seen) > time.Since(began)+time.Second {
					t.Errorf("the API says of %s: %d %v", device, status, body)
				}
				if status, body := n.api(http.MethodPost, "/v1/devices/default/"+device+"/commands", map[string]any{"name": "x"}); status != http.StatusAccepted {
					t.Errorf("a command for %s was answered %d %v", device, status, body)
				}
			}
			if status, body := n.api(http.MethodGet, "/v1/devices/default/nobody", nil); status != http.StatusNotFound {
				t.Errorf("of a device never seen the API says %d %v", status, body)
			}
		})
	}
}
