package scenarios

func LeakBeyond(then, now [7]int64, connects int) []string {
	of := func(v [7]int64) holdings { return holdings{v[0], v[1], v[2], v[3], v[4], v[5], v[6]} }
	return of(now).beyond(of(then), connects)
}

func LeakParse(page, sockstat, slabinfo string) (figures [7]int64, err error) {
	var h holdings
	err = h.parse([]byte(page), []byte(sockstat), []byte(slabinfo))
	return [7]int64{h.rss, h.heap, h.goroutines, h.fds, h.sockets, h.pages, h.slab}, err
}
