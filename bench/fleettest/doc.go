// Package fleettest is what a fleet is tested against: small servers that keep
// their word, and ones that lose, repeat, swap or spoil messages on purpose.
//
// # Goroutines
//
// One per listener and one per connection; all end with the test.
package fleettest
