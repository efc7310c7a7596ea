package uplog

import (
	"fmt"
	"hash/maphash"
	"testing"
)

// TestKnownDevices: who was noted is always known, and few others are.
func TestKnownDevices(t *testing.T) {
	k := &knownDevices{seed: maphash.MakeSeed()}
	const devices = 100_000
	name := func(i int) string { return fmt.Sprintf("edgeloop.up.default.device-%d", i) }
	for i := range devices {
		k.add(name(i))
	}
	wrong := 0
	for i := range devices {
		if !k.has(name(i)) {
			t.Fatalf("%s is not known", name(i))
		}
		if k.has(name(devices + i)) {
			wrong++
		}
	}
	if wrong > devices/1000 {
		t.Errorf("%d of %d strangers are taken for known", wrong, devices)
	}
	subject := name(0)
	if n := testing.AllocsPerRun(100, func() { k.add(subject); k.has(subject) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
