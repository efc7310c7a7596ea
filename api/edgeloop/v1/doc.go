// Package edgeloopv1 is edgeloop.v1, the services of a node for programs, as Go code.
//
// # Owns
//
// services.proto. The other files are made from it by `make proto`, with the versions of
// the generators that their headers name; a test compares.
//
// # Not here
//
// What the services do (package admin/grpcapi), and reading the log without writing the
// same loop in each program (package client).
package edgeloopv1
