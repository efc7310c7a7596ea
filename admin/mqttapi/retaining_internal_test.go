package mqttapi

import (
	"fmt"
	"testing"
)

// Filters that come and go leave nothing behind, whether they got what is retained or not: a client
// without a session never writes down which have.
func TestClient_HeldComeAndGo(t *testing.T) {
	t.Parallel()
	c := &client{}
	for i := range 2 * maxFilters {
		filter := fmt.Sprint("t/", i)
		c.mu.Lock()
		_ = c.holdLocked([]held{{filter: filter}})
		c.mu.Unlock()
		if h, ok := c.firstHeld(); ok && i%2 == 0 {
			c.gave(&h)
		}
		c.unhold(filter)
	}
	if len(c.given) > 0 || len(c.holding) > 0 {
		t.Errorf("%d filters are noted that got all, and %d that wait", len(c.given), len(c.holding))
	}
}
