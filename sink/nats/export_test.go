package nats

import "time"

// Within has the sink wait so long for what a server knows of a stream. Before any is made.
func Within(d time.Duration) { askWithin = d }
