// Package keys reads the keys of one map of the configuration file: a sink's, or a part
// of it. Each kind of value is asked for by name, with its default and its range; Err then
// says all that was wrong, keys that nobody asked for included.
//
// # Errors
//
// They name the key by its whole path, say what is wrong, what is allowed and how to fix
// it, and never show a value that may be a secret.
//
// # Not here
//
// The configuration file itself: cmd/edgeloop.
package keys
