// Package quota says what a tenant may use: which limits it has, and how fast it may send.
//
// # Owns
//
// The limits of tenants (Book), the meter by which a rate is kept, the names of what can
// be used up (Kind).
//
// # Goroutines
//
// None. All methods may be called from any goroutine; those of a Meter neither lock nor
// allocate.
//
// # Not here
//
// Who waits when a quota is used up, and what is counted of a tenant (gateway); how many
// commands wait (backbone/store).
package quota
