package fault

import "time"

// ComparePresence is comparePresence.
func ComparePresence(listed []Listed, records []Record, online bool) []Violation {
	return comparePresence(listed, records, online)
}

// Together is together.
func Together(lists ...[]Listed) []Listed { return together(lists...) }

// LeakBeyond says what two readings, of the same kind, differ in beyond bounds.
func LeakBeyond(then, now [7]int64, connects int) []string {
	of := func(v [7]int64) holdings { return holdings{v[0], v[1], v[2], v[3], v[4], v[5], v[6]} }
	return of(now).beyond(of(then), connects)
}

// LeakParse reads what is held from a page of metrics and two files of the kernel.
func LeakParse(page, sockstat, slabinfo string) (figures [7]int64, err error) {
	var h holdings
	err = h.parse([]byte(page), []byte(sockstat), []byte(slabinfo))
	return [7]int64{h.rss, h.heap, h.goroutines, h.fds, h.sockets, h.pages, h.slab}, err
}

// Slower is what the usual bounds say of waits for acknowledgements.
func Slower(quiet, during []time.Duration) (said []string) {
	for _, v := range slowed(waitAck, figureOf(quiet), figureOf(during), bounds{}) {
		said = append(said, v.String())
	}
	return said
}
