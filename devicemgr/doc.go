// Package devicemgr knows which devices are here, which were lately, and which
// connection speaks for each.
//
// # Owns
// The session table: one Session for each device that is connected, and for the
// Config.MaxOffline devices that left last, so that a storm of reconnects need
// not ask the log for each one's highest sequence. Groups of connected devices.
// Presence events. The policy of silence: when to ping and when to evict.
//
// A session outlives its connections. Each connection gets an epoch that is
// higher than all before, and only the holder of the present epoch can end the
// session's being online: the late close of an old connection does nothing.
//
// # Goroutines
// None. Every method may be called from any goroutine, but those ending in
// OnLane: only the worker that holds the device's lane may call them.
// Config.OnPresence is called by one goroutine at a time, whichever of those
// that changed something comes first, in the order of the changes and without
// a lock held.
//
// # Memory
// A session is 96 bytes, and 16 more while it is online; a device's name is
// copied once and the tenant's name is shared. Memberships cost about 50 bytes
// each. Strings handed out are shared, never written.
//
// # Errors
// Join says what is wrong with a group's name or number, CheckCursor that List
// did not make a cursor. Nothing else fails.
//
// # When full
// Beyond Config.MaxOffline the device that left longest ago is forgotten and
// counted in Stats.Forgotten; its sequence is read from the log when it comes
// back. A device may be in MaxGroups groups; Join refuses more. The number of
// connected devices is bounded by who accepts connections.
//
// # Not here
// Timers (internal/wheel), limits on traffic, and what is sent over a Link.
//
// # Lock order
// Manager.mu, then shard.mu. Changes hold both, so whoever holds Manager.mu may
// read a shard without its lock. Nothing is called out with either held.
package devicemgr
