// Package doctor says how many devices this machine can hold, which limit comes first, and
// how to lift it.
//
// # Owns
// The list of limits that matter to a node, the arithmetic from a limit to a
// number of devices, with what one device costs in cost.go, and the commands
// that lift each of them. The JSON form of a Report is a promise: docs/doctor.md.
//
// # Goroutines
// None. Examine takes as long as its syncs, at most 2 seconds.
//
// # Memory
// A Report owns everything in it.
//
// # Errors
// Config.withDefaults names a setting that is out of range. A limit that this kernel lacks
// or this user may not read is a Check with verdict Unknown and the reason in its note,
// never an error.
//
// # When full
// The file for the sync measurement is at most 256 KiB and is removed.
//
// # Not here
// Flags and exit codes: cmd/edgeloop. What a running node uses: package admin.
// Raising a node's own soft limit: package eventloop.
package doctor
