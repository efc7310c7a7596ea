// Package uplog is the log of what devices sent, in order: the stream EDGELOOP_UP, who
// writes it, and how far it is durable.
//
// It is written by one of two appenders (Config.Writers). A node writes alone if the server
// is in its own process, where nobody else reaches it: each record is then stored by a call
// of the server, behind the one before it, and this node syncs each batch (chain, blockSync).
// If several nodes write, a batch is one atomic batch of the server, and a fence keeps out what
// another node has overtaken
// (atomicLog, fence). The durable position (frontier) moves after the sync; readers wait
// for it.
//
// # Goroutines
//
// committer (one): takes the gathered records, stores and syncs them, reports
// them durable; Durable is called on it. It waits for up to 32 askers of its own
// when a fence refused a batch. device index (one, if this node writes alone): reads the
// blocks once and then forgets what retention took. usage watch (one): keeps Usage and the
// bytes of tenants. log watch and log patrol (one each, embedded log): see package custody.
// identity watch (one, shared log): notices when the log was made anew. All end with the servers' Context.
//
// # Memory
//
// Append copies everything it is given before it returns; at most PendingMax
// records and PendingBytes bytes wait for the log. The index of devices takes some 100
// bytes for each that has a record in the embedded log.
//
// # Errors
//
// servers.ErrClosed after Close; *servers.TooLargeError for a record over MaxRecord, in
// which case nothing of that call was taken. A log that does not take records is not an
// error of Append: it blocks, State says since when and why, and it resumes by itself,
// except after ErrDisk: a disk that failed to sync must be looked at.
//
// # When full
//
// Append blocks, which stops the pool worker, fills its lane and pauses reading
// from those devices. A stream at MaxBytes drops its oldest records, or stops
// taking new ones with WhenFull set to Stop.
//
// # Not here
//
// Who may publish (auth), which sequence is next (gateway, devicemgr), where
// records go afterwards (sink). When Last is asked: the node that takes a device over
// asks it, and gives its position as Record.After. With several writers the fence then
// keeps out what another node still holds of the device (docs/decisions/0013).
package uplog
