package gateway

import (
	"testing"

	"pgregory.net/rapid"
)

// TestPacketIDs: the runs are a set, in its shortest form, whatever is added and removed; they
// are as many as are bounded, and their text reads as the same set.
func TestPacketIDs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var p packetIDs
		want := map[uint16]bool{}
		id := rapid.Uint16Range(1, 40)
		if rapid.Bool().Draw(t, "wide") {
			id = rapid.Uint16Range(1, 65_535)
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				id := id.Draw(t, "id")
				if p.has(id) != want[id] {
					t.Fatalf("has %d: %t", id, p.has(id))
				}
				if !want[id] && p.add(id) {
					want[id] = true
				}
			},
			"remove": func(t *rapid.T) {
				id := id.Draw(t, "id")
				if want[id] && p.remove(id) {
					delete(want, id)
				}
			},
			"": func(t *rapid.T) {
				n := 0
				for i, r := range p {
					if r.last < r.first || i > 0 && int(p[i-1].last)+1 >= int(r.first) {
						t.Fatalf("runs %v", p)
					}
					n += int(r.last-r.first) + 1
				}
				for id := range want {
					if !p.has(id) {
						t.Fatalf("%d is not in %v", id, p)
					}
				}
				if n != len(want) || len(p) > runsMost {
					t.Fatalf("%d in %v, want %d", n, p, len(want))
				}
				s := clientSession{expiry: 60, wants: n%2 == 0, keeps: n%4 == 0, open: p}
				s.textLocked()
				var got clientSession
				got.parseLocked(s.text)
				if got.textLocked(); got.expiry != 60 || got.wants != s.wants || got.keeps != s.keeps || got.text != s.text {
					t.Fatalf("%q reads as %+v", s.text, &got)
				}
			},
		})
	})
}

// A client that releases every other of many does not make its records large.
func TestPacketIDs_Bounded(t *testing.T) {
	var p packetIDs
	for id := range uint16(65_535) {
		p.add(id + 1)
	}
	for id := uint16(2); p.remove(id); id += 2 {
	}
	if len(p) != runsMost {
		t.Errorf("%d runs", len(p))
	}
}

func TestParseSession_Refuses(t *testing.T) {
	for _, text := range []string{"", "e", "3", "ex", "e0", "e-1", "e4294967296", "e1 x", "e1 0", "e1 65536", "e1 5-4", "e1 5 5", "e1 7 5", "e1 5-65536", "e1 c-", "e1 c2"} {
		s := clientSession{expiry: 7}
		if s.parseLocked(text); s.expiry != 0 {
			t.Errorf("%q is taken", text)
		}
	}
	var s clientSession
	if s.parseLocked("e1 c1 5 7-9"); s.expiry != 1 || !s.keeps || len(s.open) != 2 {
		t.Error("a good one is not taken")
	}
}
