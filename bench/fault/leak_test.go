package fault_test

import (
	"slices"
	"testing"

	"edgeloop/bench/fault"
)

// Each thing that stays behind is named, and what the rest of the machine may have
// caused only when it is much.
func TestLeak_NamesWhatStays(t *testing.T) {
	then := [7]int64{100 << 20, 10 << 20, 80, 25, 4, 100, 500}
	for name, c := range map[string]struct {
		more     [7]int64
		connects int
		want     []string
	}{
		"nothing":                   {[7]int64{}, 1000, nil},
		"a little of each":          {[7]int64{20 << 20, 2 << 20, 5, 5, 5, 300, 300}, 1000, nil},
		"memory":                    {[7]int64{40 << 20, 5 << 20}, 1000, []string{"resident bytes 146800640, was 104857600", "bytes of heap 15728640, was 10485760"}},
		"goroutines":                {[7]int64{2: 9}, 1000, []string{"goroutines 89, was 80"}},
		"descriptors and sockets":   {[7]int64{3: 9, 4: 9}, 1000, []string{"descriptors 34, was 25", "sockets 13, was 4"}},
		"kernel memory":             {[7]int64{5: 60_000, 6: 60_000}, 200_000, []string{"pages of socket memory 60100, was 100", "TCP objects 60500, was 500"}},
		"kernel memory, not yet":    {[7]int64{5: 60_000, 6: 60_000}, 0, nil},
		"kernel memory, of others?": {[7]int64{5: 900, 6: 1900}, 1000, nil},
	} {
		now := then
		for i := range now {
			now[i] += c.more[i]
		}
		if got := fault.LeakBeyond(then, now, c.connects); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// A device that moved is where it is online, not where it is remembered; one that
// is online at both nodes is listed twice.
func TestTogether(t *testing.T) {
	east := []fault.Listed{{Device: "a", Online: true, Epoch: 2}, {Device: "b", Epoch: 1}, {Device: "c", Online: true, Epoch: 4}, {Device: "d", Epoch: 1}}
	west := []fault.Listed{{Device: "a", Epoch: 1}, {Device: "b", Online: true, Epoch: 2}, {Device: "c", Online: true, Epoch: 5}, {Device: "d", Epoch: 2}}
	want := []fault.Listed{{Device: "a", Online: true, Epoch: 2}, {Device: "c", Online: true, Epoch: 4}, {Device: "b", Online: true, Epoch: 2}, {Device: "c", Online: true, Epoch: 5}, {Device: "d", Epoch: 1}}
	if got := fault.Together(east, west); !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}
