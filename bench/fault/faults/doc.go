// Package faults holds what can be injected between a node and its world: proxies,
// network namespaces with weather between them, and a disk that freezes or slows down.
//
// # Owns
//
// The namespaces, mounts and child processes that a fault needs. Their maker
// closes them.
//
// # Not here
//
// When a fault is injected, and what the node must do then: package scenarios.
package faults
