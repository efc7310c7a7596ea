package eventloop

import (
	"testing"
	"unsafe"
)

// What TLS adds to a connection that is idle, beside what tlsrec keeps of it.
func TestLayered_Size(t *testing.T) {
	if l, g := unsafe.Sizeof(layered{}), unsafe.Sizeof(tlsGreeting{}); l > 64 || g > 32 {
		t.Errorf("a layer has %d bytes and a TLS greeting %d, at most 64 and 32 are wanted", l, g)
	}
}
