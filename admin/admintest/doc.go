// Package admintest holds fakes of the interfaces that package admin declares,
// for the tests of those who use the admin server.
//
// # Owns
//
// One struct of function fields per interface. A field that is nil answers with
// a fixed, empty value.
//
// # Goroutines
//
// None; a field may be called from many at once.
//
// # Memory
//
// What a field returns is handed on as it is.
//
// # Errors
//
// What a field returns.
//
// # When full
//
// Nothing is bounded here.
//
// # Not here
//
// The server (package admin).
package admintest
