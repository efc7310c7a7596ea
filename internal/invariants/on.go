//go:build invariants || race

package invariants

// Enabled says whether this build checks invariants.
const Enabled = true

// mangled is the value of bytes after the end of their lease.
const mangled = 0xCC

// Mangle overwrites b, so that a read after the end of its lease finds nonsense instead of the next
// owner's bytes. b is borrowed until return. In builds without invariants Mangle does nothing.
func Mangle(b []byte) {
	for i := range b {
		b[i] = mangled
	}
}
