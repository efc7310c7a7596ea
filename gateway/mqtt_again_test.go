package gateway_test

import (
	"sync/atomic"
	"testing"

	"edgeloop/gateway"
	"edgeloop/quota"
)

// What changes nothing of a session makes one record on a connection, not one each time: a
// PUBREL of what is not held, a SUBSCRIBE again, a message of QoS 2 again, and one that a quota
// refuses.
func TestMQTTOnce_AgainMakesNoRecords(t *testing.T) {
	t.Parallel()
	var stored atomic.Int64
	n := startNode(t, &memLog{}, gateway.Config{
		Quotas: bookOf(map[string]quota.Limits{"default": {Stored: 1000}}), StoredBytes: func(string) int64 { return stored.Load() },
	})
	c, _ := n.keptDevice("d", true, false)
	c.subscribeKept(1)
	c.send(c.twice(5, "1", false))
	c.want("PUBREC", 0x50, 2, 0, 5)
	before := len(n.log.all())
	stored.Store(1000)
	for range 10 {
		c.send(release(9))
		c.want("PUBCOMP", 0x70, 4, 0, 9, 0x92, 0)
		c.subscribeKept(1)
		c.send(c.twice(5, "1", true))
		c.want("PUBREC again", 0x50, 2, 0, 5)
		c.send(c.twice(7, "1", false))
		c.want("PUBREC of what is refused", 0x50, 4, 0, 7, 0x97, 0)
	}
	if got := len(n.log.all()) - before; got != 1 {
		t.Errorf("%d records were made", got)
	}
}
