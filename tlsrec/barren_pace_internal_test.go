package tlsrec

import (
	"cmp"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A byte between two key updates buys no more of them: some may come at once, and then one
// in each second. A peer at that pace goes on for as long as it likes.
func TestSession_KeyUpdatesWithAByteBetween(t *testing.T) {
	ca, std, own := twoServers(t)
	for _, s := range []*Server{std, own} {
		c := conduct(t, s, ca)
		synctest.Test(t, func(t *testing.T) {
			s.since = time.Now() // of the bubble
			update := func() error {
				record := c.sealOne(nil, typeHandshake, []byte{typeKeyUpdate, 0, 0, 1, 1})
				c.suite.advance(&c.out)
				c.drop()
				_, _, err := c.session.Open(record)
				_, _, after := c.session.Open(c.sealOne(nil, typeApplication, []byte("x")))
				return cmp.Or(err, after)
			}
			for range 3 * barrenAtOnce {
				time.Sleep(time.Second)
				if err := update(); err != nil {
					t.Fatalf("own %v: one a second ends with %v", s == own, err)
				}
			}
			var err error
			n := 0
			for ; err == nil && n < 3*barrenAtOnce; n++ {
				err = update()
			}
			if !errors.Is(err, errIdle) || n < barrenAtOnce-1 || n > barrenAtOnce+1 {
				t.Errorf("own %v: after %d at once it ends with %v", s == own, n, err)
			}
			if c.session.Seal(nil, []byte("x")) != nil {
				t.Errorf("own %v: it goes on", s == own)
			}
		})
	}
}
