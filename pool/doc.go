// Package pool runs device work on a bounded number of goroutines, in order per
// device.
//
// # Owns
// Lanes: bounded sets of FIFO queues, chosen by a hash of the device. A lane that
// holds work stands in one ready queue, which the workers drain. A worker takes one
// batch from the lane at the front and puts the lane back at the end, so no
// lane is held up by another as long as a worker is free. In a batch the lane's
// devices take turns, and what it costs is bounded: who sends much waits for itself. Between the first
// task that makes a lane ready and the moment it is found empty, a lane belongs
// to the queue or to one worker, never to both: that keeps its order.
//
// # Goroutines
// Config.Workers long-lived tasks of an ants pool, one goroutine each, plus
// ants' own clock. New starts them, Resize changes their number, Stop waits for
// them. A worker without work is parked on a channel.
//
// # Memory
// Post copies the tasks into the lane; what they point to passes to the handler.
// The batch a handler is given is borrowed until return. A lane's block grows in
// powers of two up to LaneConfig.Depth and goes back to a shared pool when the
// lane is empty, so a burst leaves no memory behind.
//
// # Errors
// New and NewLanes say which setting is out of range. Post answers with a
// number instead: a full lane is no error but the moment to stop reading.
//
// # When full
// Post takes what fits, counts the rest in LaneStats.Refused, and the poster
// asks Wait to be told when there is room. Nothing is dropped here.
//
// # Not here
// What a task means, and which device is hashed to which key: package gateway.
// Pooled bytes: package internal/bytebuf.
//
// # Lock order
// A lane's mu, then Pool.mu. Nothing is called with Pool.mu held.
package pool
