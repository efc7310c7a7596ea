// Package postgres sends records to a table of a PostgreSQL, or of what is one, as
// TimescaleDB.
//
// # Safety
//
// A batch is one transaction: COPY into a temporary table, then INSERT … ON CONFLICT DO
// NOTHING by a unique key that has the position in it. So the table has each record once,
// however often it is sent (docs/decisions/0050-postgres-by-a-unique-key.md). Its answer to
// COMMIT confirms it, and synchronous_commit is on: a crash of the server takes nothing.
//
// # Errors
//
// What PostgreSQL says of values (classes 22, 23, 44 and 54, and what a trigger raises)
// refuses the batch, and the engine halves it. All else is of the moment: nobody answers, no
// leave, no table, no space, a server that only reads. An error that somebody has to mend
// says how.
//
// # Goroutines
//
// Those of pgconn while it connects, copies, or gives up a connection; Close waits for them.
package postgres
