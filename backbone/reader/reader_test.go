package reader_test

import (
	"fmt"
	"testing"

	"edgeloop/backbone"
	"edgeloop/backbone/backbonetest"
)

func TestMain(m *testing.M) { backbonetest.Main(m) }

func records(from, to uint64) (rs []backbone.Record) {
	for n := from; n <= to; n++ {
		rs = append(rs, backbone.Record{
			Tenant: "default", Device: "d", Epoch: 3, Seq: n, Type: "telemetry", Data: fmt.Appendf(nil, `{"c":%d}`, n),
		})
	}
	return rs
}
