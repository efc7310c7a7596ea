// Package overload says how a node stands with what it has to do, and what it refuses for it.
//
// # Owns
// The ladder: four states, what brings a node into each of them, and which load is refused
// from which state on (docs/overload.md). A circuit breaker for calls that fail one after the
// other.
//
// # Goroutines
// None. One goroutine of the caller measures and calls Ladder.Look; all others ask.
//
// # Memory
// Some hundred bytes for a node.
//
// # Errors
// None.
//
// # When full
// This package says what is refused when a node is full. Each refusal is counted by its Load.
//
// # Not here
// How things are measured: cmd/edgeloop. How each load is refused: in the package that takes
// it. What holds back devices that are connected, which no state refuses anything: gateway.
package overload
