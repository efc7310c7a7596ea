// Package testkit is what tests of several packages need: waiting for a
// condition without sleeping.
//
// # Not here
//
// Anything that knows a package of ours; such helpers live beside it.
package testkit
