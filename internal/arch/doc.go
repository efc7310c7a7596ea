// Package arch checks the house rules that a machine can check, as tests: which package may import
// which, the names and lengths of files, that no test sleeps, and that the tests named in
// docs/testing.md exist.
//
// # Owns
//
// The ladder of packages (ladder_test.go) and the rules about source files.
//
// # Not here
//
// What a linter checks already; see .golangci.yml.
package arch
