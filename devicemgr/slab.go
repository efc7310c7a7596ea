package devicemgr

// slab is a list of entries that are known by small numbers, never 0. What a session needs
// while it is online and what it needs while it is not lie in two slabs, and the session
// has one number for both.
type slab[T any] struct {
	entries []T
	free    []uint32
}

// put adds an entry. A pointer into the slab is good until the next put.
func (l *slab[T]) put(entry T) (at uint32) {
	if n := len(l.free); n > 0 {
		at, l.free = l.free[n-1], l.free[:n-1]
		l.entries[at] = entry
		return at
	}
	if len(l.entries) == 0 {
		l.entries = make([]T, 1, 8)
	}
	l.entries = append(l.entries, entry)
	return uint32(len(l.entries) - 1) //nolint:gosec // there are fewer sessions than that
}

// drop ends an entry. Its number may be given out again at once.
func (l *slab[T]) drop(at uint32) {
	var none T
	l.entries[at] = none
	l.free = append(l.free, at)
}

// at finds an entry.
func (l *slab[T]) at(at uint32) *T { return &l.entries[at] }
