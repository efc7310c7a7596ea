// Package latency counts how long something took, in classes that are the same everywhere, so
// that series can be compared. Counting takes no lock and does not allocate.
package latency
