package gateway

import (
	"testing"
	"unsafe"
)

// TestLink_Size: a link is kept for each connected device; a field more would
// move it to the next size class of the allocator.
func TestLink_Size(t *testing.T) {
	if got := unsafe.Sizeof(link{}); got > 96 {
		t.Errorf("a link has %d bytes, 96 are its budget", got)
	}
}
