// Package arch holds the house rules that a machine can check, as tests: who
// may import whom, how files are named and how long they are, that no test
// sleeps, and that docs/testing.md names tests that exist.
//
// # Owns
//
// The ladder of packages (ladder_test.go) and the rules about source files.
//
// # Not here
//
// What a linter checks already; see .golangci.yml.
package arch
