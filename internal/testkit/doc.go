// Package testkit helps tests of several packages: it waits for conditions without sleeping.
//
// # Not here
//
// Anything that knows one of our packages; such helpers are in that package.
package testkit
