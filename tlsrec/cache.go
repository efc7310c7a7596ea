package tlsrec

// cached is how many connections of a loop keep their ciphers, about 2 KB each.
const cached = 256

// A Cache has the connections that keep their ciphers, because they spoke last. One loop
// owns it, and the Sessions that use it.
type Cache struct {
	ring [cached]*records
	next int
}

// keep notes that r has ciphers now; the one that has had them longest has none any more.
func (c *Cache) keep(r *records) {
	if c == nil {
		return
	}
	if old := c.ring[c.next]; old != nil && old != r {
		old.live = nil
	}
	c.ring[c.next] = r
	c.next = (c.next + 1) % cached
}

// forget lets go of a connection that is gone.
func (c *Cache) forget(r *records) {
	if c == nil {
		return
	}
	for i := range c.ring {
		if c.ring[i] == r {
			c.ring[i] = nil
		}
	}
}
