package scenarios_test

import (
	"slices"
	"strings"
	"testing"

	"edgeloop/bench/fault/scenarios"
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
		if got := scenarios.LeakBeyond(then, now, c.connects); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// A figure that is missing, or that nobody can have, is an error and no figure
// that is never too high.
func TestLeak_WantsEachFigure(t *testing.T) {
	page := "# HELP go_goroutines Goroutines.\ngo_goroutines 80\ngo_memstats_heap_alloc_bytes 1.048576e+07\n"
	sockstat := "sockets: used 40\nTCP: inuse 4 orphan 1 tw 7 alloc 9 mem 100\n"
	slabinfo := "slabinfo - version: 2.1\nTCPv6 1 2 3\nTCP 500 520 2432 13 8\n"
	got, err := scenarios.LeakParse(page, sockstat, slabinfo)
	if want := [7]int64{1: 10 << 20, 2: 80, 4: 5, 5: 100, 6: 500}; err != nil || got != want {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	for _, c := range []struct{ old, now string }{
		{"go_goroutines 80", "go_goroutines_now 80"},
		{"go_goroutines 80", "go_goroutines 0"},
		{"go_goroutines 80", "go_goroutines many"},
		{"go_memstats_heap_alloc_bytes", "go_heap_alloc_bytes"},
		{"TCP: inuse", "TCP: used"},
		{"TCP: inuse 4", "TCP: inuse 0"},
		{"TCP 500", "tw_sock_TCP 500"},
		{"TCP 500", "TCP 0"},
		{"TCP 500", "TCP <500>"},
	} {
		with := strings.NewReplacer(c.old, c.now)
		if got, err := scenarios.LeakParse(with.Replace(page), with.Replace(sockstat), with.Replace(slabinfo)); err == nil {
			t.Errorf("%q in place of %q was read as %v", c.now, c.old, got)
		}
	}
}
