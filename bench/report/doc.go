// Package report draws results as pictures: one self-contained HTML page with
// SVG plots, and the same plots as PNG files.
//
// # Owns
//
// Which plot shows what: connections and memory over time, latency by
// percentile, CPU for each message, capacity curves, comparison bars.
//
// # Goroutines
//
// None.
//
// # Errors
//
// A file that is neither a result of edgebench nor of bench/compare is refused
// by name. A result without the data for a plot leaves that plot out.
package report
