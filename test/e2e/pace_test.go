package e2e_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"edgeloop/internal/testkit"
)

// A sink whose destination comes back, while devices send, is held to a rate, which the
// operator sees, and waits for their sake, which is counted; and it comes to the end of the log
// with devices sending all the time.
func TestSinks_CatchingUpIsHeldBack(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{}) // each request of the sink takes one, until it is closed
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-gate:
		case <-r.Context().Done():
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(hook.Close)
	n := start(t, "--auth=none", "--window=1", withSinks(t, fmt.Sprintf(`
  - {name: hook, type: webhook, url: "%s", retry: {most: 200ms}}
`, hook.URL)))
	launch(t, n, 40, 400, nil).waitAcked(4*patience, 16_000)
	sending := launch(t, n, 2, 1<<40, nil)
	var last time.Time // a batch was let through: slowly, so that the sink stays far behind
	testkit.Eventually(t, 2*patience, "the sink to be held to a rate", func() bool {
		if time.Since(last) > 400*time.Millisecond {
			select {
			case gate <- struct{}{}:
				last = time.Now()
			default:
			}
		}
		_, held := n.sink()["paced_per_second"]
		return held && containsAll(n.tool("sinks"), "PACED")
	})
	close(gate)
	testkit.Eventually(t, 2*patience, "the sink to be through", func() bool {
		s := n.sink()
		_, held := s["paced_per_second"]
		lag, known := s["lag_records"].(float64)
		return known && !held && lag < 5_000
	})
	if waited := n.metric("edgeloop_backbone_reader_held_seconds_total", ""); waited < 0.2 { // the first rest is longer
		t.Errorf("it was held to a rate, and waited %.3f s", waited)
	}
	sending.cancel()
	sending.wg.Wait()
	n.stop()
}
