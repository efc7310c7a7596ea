package testkit

import "time"

// Delay is for fakes whose part in the story is to take their time: a slow log,
// a slow device. It is never the way to wait for something; see Eventually.
func Delay(d time.Duration) { time.Sleep(d) }
