// Package admin is the HTTP side of a node for people and machines: the REST
// API, health, metrics, profiles, a live tail of the log and a dashboard page.
package admin
