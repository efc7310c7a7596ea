// Package mqtt sends records to a broker of MQTT 5.
//
// # Safety
//
// Records go with QoS 1: a PUBACK that takes one confirms it. As many as the broker receives at
// once are on their way, of each device one (sink.Turns). Nothing is repeated here, and a
// connection that failed is given up with all that was on its way in it: the next one has the
// same client identifier and starts clean, so the broker ends the old one first [MQTT-3.1.4-3],
// and what is sent again cannot be overtaken.
//
// # Errors
//
// A broker that says of a record that its topic, its payload or its size will not do refuses
// it (judge has the list). One that leaves saying so refuses what was on its way, together. All else is of the moment: no leave, a quota, no broker.
//
// # Goroutines
//
// Those of the library, for as long as there is a connection, and for each Send one that
// watches it and those of sink.Turns; Close ends them and waits.
package mqtt
