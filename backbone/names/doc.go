// Package names says where things are kept in NATS: the streams, the subjects in them, and
// how the names of tenants and devices become tokens of subjects. docs/data.md describes
// it for those who read the log with NATS' own tools.
package names
