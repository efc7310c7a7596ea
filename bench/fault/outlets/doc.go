// Package outlets is where the sinks of a node under test send to: a receiver of webhooks, a
// directory of files, a Redis, a NATS server, a broker of MQTT, a Kafka and a
// PostgreSQL. Each can be hurt, and each says what came,
// by reading what it holds and not by asking the node.
//
// # Owns
//
// The receiver, the child processes, and the proxies in front of them. Their maker
// closes them.
//
// # Not here
//
// When one is hurt: package scenarios. What must have come: package history. Nothing of the
// node's own code is imported.
package outlets
