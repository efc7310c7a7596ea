//go:build invariants || race

package invariants

// Enabled says whether this build checks invariants.
const Enabled = true

// mangled is what bytes read as once their lease has ended.
const mangled = 0xCC

// Mangle overwrites b, so that whoever still reads it after its lease has
// ended reads nonsense instead of the next owner's bytes. Borrowed until
// return. In builds without invariants it does nothing.
func Mangle(b []byte) {
	for i := range b {
		b[i] = mangled
	}
}
