package uplog_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"edgeloop/backbone"
	"edgeloop/backbone/backbonetest"
)

func TestMain(m *testing.M) { backbonetest.Main(m) }

func record(device string, seq uint64, done backbone.Completion) backbone.Record {
	return backbone.Record{
		Tenant: "default", Device: device, Epoch: 3, Seq: seq, Type: "telemetry",
		Topic: []byte("temp"), TS: 1795234836000, Received: 1795234836001,
		Data: fmt.Appendf(nil, `{"c":%d}`, seq), Done: done,
	}
}

// counter is a Completion that counts.
type counter struct{ n atomic.Int64 }

func (c *counter) Durable(_ uint64, n int)   { c.n.Add(int64(n)) }
func (*counter) Overtaken(seq uint64, _ int) { panic(fmt.Sprint("overtaken at sequence ", seq)) }
func (*counter) Wanted() bool                { return true }
