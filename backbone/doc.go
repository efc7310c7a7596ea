// Package backbone is the node's durable side: the log of what devices sent,
// commands that wait for their device, presence and bans, all kept by NATS
// JetStream. The server runs inside the process with its files under DataDir;
// with NATSURL an external server or cluster does the same work over the same
// code path.
//
// # Owns
//
// The log (EDGELOOP_UP) and the committer that turns what the pool workers append into
// batches; two connections of its own. Package servers has the servers, package store
// what is kept beside the log.
//
// The log is written by one of two appenders (Config.Writers). Alone is who has the
// server in its own process: nobody else reaches it, so each record names the sequence
// before it, and a batch is synced by us (chain, blockSync). Where several nodes write,
// a batch is one atomic batch of the server (atomicLog).
//
// # Goroutines
//
// committer (one): takes the gathered records, stores and syncs them, reports
// them durable; Durable is called on it. It waits for up to 32 askers of its own
// when a fence refused a batch. device index (one, who writes alone): reads the blocks
// once and then forgets what retention took. All are started by Open, stopped and waited
// for by Close, and so are those of the packages below.
//
// # Memory
//
// Append copies everything it is given before it returns; at most PendingMax
// records and PendingBytes bytes wait for the log. A reader has at most 1 MiB
// under way, or one larger record. The index of devices takes some 100 bytes for each
// that has a record in the embedded log. Lines given to the callback
// of Read are borrowed until it returns.
//
// # Errors
//
// ErrClosed after Close; *TooLargeError for a record over MaxRecord, in which
// case nothing of that call was taken; ErrInUse from Open. A log that does not
// take records is not an error of Append: it blocks, State says since when and
// why, and it resumes by itself, except after ErrDisk: a disk that failed to sync
// must be looked at.
//
// # When full
//
// Append blocks, which stops the pool worker, fills its lane and pauses reading
// from those devices. A stream at MaxBytes drops its oldest records, or stops
// taking new ones with WhenFull set to Stop. Presence is coalesced per device.
//
// # Not here
//
// Who may publish (auth), which sequence is next (gateway, devicemgr), where
// records go afterwards (sink). When Last is asked: whoever takes a device over asks
// it, and gives its position as Record.After. On an external server the fence then
// keeps out what another node still holds of the device (docs/decisions/0013).
package backbone
