// Package units reads and writes sizes and times with units, as settings have them: 10GiB, 7d.
//
// # Errors
//
// They say what can be given instead.
package units
