package eventloop_test

import (
	"testing"

	"edgeloop/eventloop"
	"edgeloop/internal/bytebuf"
	"edgeloop/internal/testkit"
)

// TestParts_LargestGoesFirst: many begin messages and do not end them. Above the
// share of parts those that hold most are closed with 1013, and who began small can
// end its message; before any of them goes who has not even ended its handshake.
func TestParts_LargestGoesFirst(t *testing.T) {
	memory := bytebuf.NewBudget(128<<10, nil) // 64 KiB for parts
	n := serve(t, eventloop.Config{Tick: tick, Loops: 1, Memory: memory}, echoing())
	small := n.open()
	whole := wire(bin(make([]byte, 300)))
	small.raw(whole[:200])
	testkit.Eventually(t, patience, "the small part is held", func() bool { return memory.Parts.Held() == 256 })
	hello := n.dial()
	hello.raw([]byte(request[:40]))
	testkit.Eventually(t, patience, "the header is held", func() bool { return memory.Parts.Held() == 512 })

	large := wire(bin(make([]byte, 60<<10)))
	for i := range 4 {
		d := n.open()
		d.raw(large[:20<<10]) // takes 32 KiB
		testkit.Eventually(t, patience, "the part is held, or something was closed for it", func() bool {
			return memory.Parts.Held() >= 32<<10*int64(i+1) || n.Stats().Gone[eventloop.CauseMemoryFull] > 0 || n.Stats().Refused > 0
		})
	}
	hello.wantStatus(503)
	n.gone(eventloop.CauseMemoryFull, 2)
	if held := memory.Parts.Held(); held > 64<<10 {
		t.Errorf("parts hold %d bytes, their share are 64 KiB", held)
	}
	small.raw(whole[200:])
	small.want(bin(make([]byte, 300)))
}
