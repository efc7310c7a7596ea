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

// TestLink_AdmittedBeforeItsWelcome: a device that has been welcomed is one that
// commands reach, whether or not the worker that admitted it has run on.
func TestLink_AdmittedBeforeItsWelcome(t *testing.T) {
	l := &link{proto: protocolRaw} // which is not told that it is welcome
	if l.live() {
		t.Fatal("a link is live before its handshake was answered")
	}
	l.Woken()
	if !l.live() {
		t.Error("the device was admitted on the loop, and a command would be left for later")
	}
}
