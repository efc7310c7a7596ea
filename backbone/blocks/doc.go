// Package blocks reads the message blocks of NATS' file store: what one file N.blk of a stream
// holds, record by record, each with its checksum verified. It works on bytes that the
// caller has read; only List touches the file system, to read names.
//
// # Owns
//
// Our knowledge of the store's format, that of nats-server 2.15:
//
//	total(4) sequence(8) time(8) subject length(2) subject [header length(4) header] message hash(8)
//
// All numbers are little-endian. The highest bit of total says that there is a header, the
// highest bits of the sequence say what became of the record. The hash is HighwayHash-64
// under the SHA-256 of STREAM-N. It covers neither total nor the two other lengths, so these
// are checked by what they lead to.
//
// # Goroutines
//
// None.
//
// # Memory
//
// A Reader looks into the slice that it is given and copies nothing: records are valid for as
// long as that slice is. Nothing is allocated from a length in a block.
//
// # Errors
//
// *BadError for bytes that are not a record; the Reader goes on behind them.
//
// # When full
//
// Nothing is kept. The search for the next sound record behind a bad one hashes at most a
// fixed multiple of the block.
//
// # Not here
//
// What should be there, and what to do if it is not (backbone/custody). Compressed or
// encrypted blocks: ours are neither.
package blocks
