// Package peer is what the Go servers of the comparison share: the flags, a
// listener for pprof, and the list of connections that a broadcast needs.
//
// Each server is the smallest honest echo server of its library, as its own
// documentation shows it, with its default options. A binary message comes
// back; with -broadcast the server also keeps a list of its connections and a
// text message goes to all of them.
package peer
