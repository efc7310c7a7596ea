// Package devicemgr knows who is here: one session for each device, live or
// remembered.
//
// # Owns
//
// The session table, the order of a device's connections (epochs, the newest
// wins), groups, presence events, and what silence means.
//
// # Goroutines
//
// None. All methods of a Manager may be called from any goroutine. A Session's
// methods say whose they are.
//
// # Memory
//
// A session of a device that left stays until MaxOffline of them are remembered;
// then the one that left first is forgotten. Names are stored once.
//
// # Errors
//
// ErrTooManyGroups and ErrGroupName; everything else cannot fail.
//
// # When full
//
// A device that joins too many groups is told; a forgotten session costs its
// device's next connect one read of the log.
//
// # Not here
//
// Sockets (eventloop), what is sent (gateway), the mechanics of timers
// (internal/wheel).
package devicemgr
