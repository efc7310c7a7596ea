package gateway

import (
	"testing"
	"unsafe"
)

// TestLink_Size: a link is kept for each connected device, in a size class of the allocator
// in which a connect drops nothing, as measured: a field more takes room from the padding.
func TestLink_Size(t *testing.T) {
	if got := unsafe.Sizeof(link{}); got != 128 {
		t.Errorf("a link has %d bytes, 128 are its budget", got)
	}
}

// TestLink_AdmittedBeforeItsWelcome: a device that has been welcomed is one that
// commands reach, whether or not the worker that admitted it has run on.
func TestLink_AdmittedBeforeItsWelcome(t *testing.T) {
	for proto := range numEdgeloop {
		l := &link{voice: &voice{dialect: newEdgeloop(proto)}, session: &Session{}}
		l.flags.Store(flagWelcomed) // as if: there is nothing to write to
		if l.live() {
			t.Fatal("a link is live before its handshake was answered")
		}
		l.Woken()
		if !l.live() {
			t.Errorf("protocol %v: admitted on the loop, and a command would be left for later", proto)
		}
	}
}
