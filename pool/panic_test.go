package pool_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"

	"edgeloop/pool"
)

// One device's messages make the handler panic, each of them, while others stream
// through the same workers. All of the others' messages are handled, in order;
// each panic is counted and told; and no worker is lost by it.
func TestLanes_PanicHurtsNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const devices, messages, guilty = 20, 200, 7
		var told atomic.Int64
		p := start(t, pool.Config{Workers: 2, OnPanic: func(any, any, []byte) { told.Add(1) }})
		type task struct{ device, seq int }
		var last [devices]atomic.Int64
		l := lanes(t, p, pool.LaneConfig{Lanes: 64, Batch: 4}, func(batch []task) {
			for _, task := range batch {
				if task.device == guilty {
					panic("boom")
				}
				if before := last[task.device].Swap(int64(task.seq)); before != int64(task.seq)-1 {
					t.Errorf("device %d: %d after %d", task.device, task.seq, before)
				}
			}
		})
		// Devices have lanes of their own: what shares a batch with a panic is
		// handled twice, which is another test's matter.
		for seq := 1; seq <= messages; seq++ {
			for device := range devices {
				for l.Post(uint64(device), task{device, seq}) == 0 {
					synctest.Wait()
				}
			}
		}
		drain(t, l)
		for device := range devices {
			if got := last[device].Load(); device != guilty && got != messages {
				t.Errorf("device %d stands at %d", device, got)
			}
		}
		s := p.Stats()
		if s.Abandoned != messages || told.Load() != messages || s.Panics < messages {
			t.Errorf("%d told, %+v", told.Load(), s)
		}
		if s.Running > 2 {
			t.Errorf("%d workers", s.Running)
		}
	})
}
