package gateway

import (
	"slices"
	"strconv"
	"strings"
)

// packetIDs is a set of packet identifiers, as runs, sorted and apart from each other: a client
// counts its packets, so what it has not released is one run, or a few.
type packetIDs []idRun

type idRun struct{ first, last uint16 }

// runsMost is how many runs a set may have.
const runsMost = 64

// find is the first run that ends at id or later.
func (p packetIDs) find(id uint16) int {
	at, _ := slices.BinarySearchFunc(p, id, func(r idRun, id uint16) int { return int(r.last) - int(id) })
	return at
}

func (p packetIDs) has(id uint16) bool {
	at := p.find(id)
	return at < len(p) && p[at].first <= id
}

// add adds id, which is not in the set; false: it is full.
func (p *packetIDs) add(id uint16) bool {
	s := *p
	at := s.find(id)
	joinsLeft := at > 0 && s[at-1].last == id-1
	joinsRight := at < len(s) && s[at].first == id+1
	switch {
	case joinsLeft && joinsRight:
		s[at-1].last = s[at].last
		*p = slices.Delete(s, at, at+1)
	case joinsLeft:
		s[at-1].last = id
	case joinsRight:
		s[at].first = id
	case len(s) >= runsMost:
		return false
	default:
		*p = slices.Insert(s, at, idRun{id, id})
	}
	return true
}

// remove takes id out, which is in the set; false: there is no room to cut a run in two.
func (p *packetIDs) remove(id uint16) bool {
	s := *p
	at := s.find(id)
	switch r := s[at]; {
	case r.first == r.last:
		*p = slices.Delete(s, at, at+1)
	case r.first == id:
		s[at].first++
	case r.last == id:
		s[at].last--
	case len(s) >= runsMost:
		return false
	default:
		s[at].last = id - 1
		*p = slices.Insert(s, at+1, idRun{id + 1, r.last})
	}
	return true
}

// append appends the set as text: " 3 7-9".
func (p packetIDs) append(b []byte) []byte {
	for _, r := range p {
		b = strconv.AppendUint(append(b, ' '), uint64(r.first), 10)
		if r.last != r.first {
			b = strconv.AppendUint(append(b, '-'), uint64(r.last), 10)
		}
	}
	return b
}

// parse reads a word of the text behind what it has.
func (p *packetIDs) parse(word string) bool {
	from, to, two := strings.Cut(word, "-")
	first, err := strconv.ParseUint(from, 10, 16)
	if err != nil || first == 0 {
		return false
	}
	last := first
	if two {
		if last, err = strconv.ParseUint(to, 10, 16); err != nil {
			return false
		}
	}
	if n := len(*p); last < first || n > 0 && uint64((*p)[n-1].last) >= first {
		return false
	}
	*p = append(*p, idRun{uint16(first), uint16(last)})
	return true
}
