// Package pause waits, and stops waiting when a context ends.
package pause
