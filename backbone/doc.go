// Package backbone is the node's durable side as a whole: the log of what devices sent,
// its readers, commands that wait for their device, presence and bans, all kept by NATS
// JetStream. The server runs inside the process with its files under DataDir; with
// NATSURL external servers do the same work over the same code path.
//
// The packages below do the work; this one puts them together, in the order that the
// files need, and names what others use of them: servers (where the servers are), uplog
// (the log and who writes it), reader, store (what is small), names.
package backbone
