package main

import (
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// A storm of connects leaves garbage behind, and the runtime gives the memory
// back over many minutes. A node at the edge is not alone on its machine, so
// what a storm took is given back soon after it: when the heap holds more than a
// quarter beyond what is in use, and nothing was done about it lately.
const (
	tidyEvery = 2 * time.Second
	tidyRest  = 15 * time.Second // after one round
	tidyLeast = 4 << 20          // bytes not worth a round
)

// startTidy starts tidy. stop ends it and returns when it has ended.
func startTidy() (stop func()) {
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tidy(quit)
	}()
	return func() {
		close(quit)
		<-ended
	}
}

// tidy gives memory back to the system until stop is closed.
func tidy(stop <-chan struct{}) {
	samples := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/gc/heap/live:bytes"},
	}
	tick := time.NewTicker(tidyEvery)
	defer tick.Stop()
	var last time.Time
	for {
		select {
		case <-stop:
			return
		case now := <-tick.C:
			metrics.Read(samples)
			held := samples[0].Value.Uint64() + samples[1].Value.Uint64() + samples[2].Value.Uint64()
			live := samples[3].Value.Uint64()
			if now.Sub(last) >= tidyRest && held > live+max(tidyLeast, live/4) {
				debug.FreeOSMemory()
				last = now
			}
		}
	}
}
