// Package invariants holds the checks that cost too much for release builds.
//
// They are compiled in under the build tag "invariants" and whenever the race
// detector is on, and are constant-folded away otherwise.
//
// # Owns
// Nothing: a constant pair and a function without state.
//
// # Goroutines
// None.
//
// # Memory
// Mangle overwrites the bytes that it is given and keeps no reference.
//
// # Errors
// None. A broken invariant panics where it is found.
//
// # When full
// Nothing is queued.
//
// # Not here
// Checks of what a peer sent: those are errors, and always on.
package invariants
