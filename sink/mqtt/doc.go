// Package mqtt sends records to a broker of MQTT 5.
//
// # Safety
//
// Records go one after the other, with QoS 1: a PUBACK that takes one confirms it. Nothing is
// repeated here, and a connection that failed is given up with all that was on its way in it:
// the next one has the same client identifier and starts clean, so the broker ends the old one
// first [MQTT-3.1.4-3], and what is sent again cannot be overtaken.
//
// # Errors
//
// A broker that says of a record that its topic, its payload or its size will not do refuses
// it (refusal has the list). All else is of the moment: no leave, a quota, no broker.
//
// # Goroutines
//
// Those of the library, for as long as there is a connection, and one for each Send, which
// watches it; Close ends them and waits.
package mqtt
