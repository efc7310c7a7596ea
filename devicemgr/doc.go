// Package devicemgr knows which devices are here, which left lately, and which connection
// speaks for each.
//
// # Owns
// The session table: one Session for each device that is connected, and for the
// Config.MaxOffline devices that left last, or that the caller knows of (Remember), so that a storm of reconnects need
// not ask the log for each one's highest sequence. Groups of connected devices.
// Presence events. The policy of silence: when to ping and when to evict.
//
// A session outlives its connections. Each connection gets an epoch higher than all before.
// Only the holder of the current epoch can take the session offline: the late close of an
// old connection does nothing.
//
// # Goroutines
// None. Any goroutine may call every method, except those ending in OnLane, which only the
// worker that holds the device's lane may call. Config.OnPresence is called by one
// goroutine at a time, in the order of the changes and without a lock held; it is one of
// those that made a change.
//
// # Memory
// A session is 80 bytes; a device's name is
// copied once and the tenant's name is shared. Memberships cost about 50 bytes
// each. Strings handed out are shared, never written.
//
// # Errors
// Join reports a bad group name and too many groups, CheckCursor a cursor that List did not
// make. Nothing else fails.
//
// # When full
// Beyond Config.MaxOffline the device that left longest ago is forgotten and
// counted in Stats.Forgotten; its sequence is read from the log when it comes
// back. A device may be in MaxGroups groups; Join refuses more. The caller bounds the
// number of connected devices.
//
// # Not here
// Timers (internal/wheel), limits on traffic, and what a connection is, what is sent over it.
//
// # Lock order
// Manager.mu, then shard.mu. Changes hold both, so a holder of Manager.mu may read a shard
// without its lock. No call leaves the package with either held.
package devicemgr
