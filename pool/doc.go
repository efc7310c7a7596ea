// Package pool runs device work on a bounded number of goroutines, in order per
// device.
//
// # Owns
// Lanes: bounded sets of FIFO queues, chosen by a hash of the device. A lane that holds
// tasks stands in one ready queue. A worker takes one batch from the lane at the front and
// puts the lane back at the end, so no lane holds up another as long as a worker is free.
// Within a batch the lane's devices take turns, and the cost of a batch is bounded: a
// device that sends much waits for itself. From the first task that makes it ready until
// it is found empty, a lane belongs to the ready queue or to one worker, never to both:
// that keeps its order. A Queue hands single tasks to whichever worker is free.
//
// # Goroutines
// Config.Workers long-lived goroutines of an ants pool, plus ants' own clock. New starts
// them, Resize changes their number, Stop waits for them. A worker without work is parked
// on a channel.
//
// # Memory
// Post copies the tasks into the lane; ownership of what they point to passes to the
// handler. The batch that a handler gets is borrowed until return. A lane's block grows in
// powers of two up to LaneConfig.Depth and returns to a shared pool when the lane is
// empty, so a burst leaves no memory behind.
//
// # Errors
// New and NewLanes say which setting is out of range. Post returns a number instead: a full
// lane is not an error but the moment to stop reading.
//
// # When full
// Post takes what fits and counts the rest in LaneStats.Refused. The poster calls Wait to
// be told when there is room. Nothing is dropped here.
//
// # Not here
// What a task means and how a device becomes a key: package gateway.
// Pooled bytes: package internal/bytebuf.
//
// # Lock order
// A lane's mu, then Pool.mu. No function outside the package is called with Pool.mu held.
package pool
