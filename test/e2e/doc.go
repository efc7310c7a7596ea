// Package e2e tests the node from outside: the real binary as a process of its
// own, spoken to by clients that nobody here wrote, and by the Go client of the gRPC
// services.
//
// # Owns
//
// Starting, stopping and killing nodes (node_test.go), the clients made of
// Python's websockets and Node's ws (client_test.go, py/, node/), and one file
// of stories for each promise; docs/testing.md says which.
//
// # Errors
//
// A missing client skips its stories on a developer's machine and fails them
// when the variable CI is set. `make setup` installs all of them.
package e2e
