// Package file writes records to files of JSON lines: one file grows, and when it is
// large or old enough it gets its last name, compressed where that is asked for.
//
// # Files
//
// NAME.part grows. It becomes NAME-TIME-POSITION.ndjson, or .ndjson.gz: the time when it
// began in UTC, and the position of its first record. A file with such a name is whole
// and does not change any more.
//
// # Safety
//
// Records are confirmed when the file is synced, and the directory with it when the file
// is new. What a crash has left half written at the end of NAME.part is cut off when it is
// opened again. A crash between the sync and the kept place makes records come twice, with
// the same position.
//
// # When full
//
// With less than min_free bytes on the disk nothing is written: the log needs them more.
package file
