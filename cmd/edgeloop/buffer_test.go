package main

import (
	"bytes"
	"sync"
)

// lockedBuffer is what a node writes to while the test reads.
type lockedBuffer struct {
	// Guarded by mu.
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
