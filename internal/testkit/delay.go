package testkit

import "time"

// Delay is for fakes that have to be slow: a slow log, a slow device. Never use it to wait for
// something; see Eventually.
func Delay(d time.Duration) { time.Sleep(d) }
