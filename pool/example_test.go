package pool_test

import (
	"context"
	"fmt"
	"os"

	"edgeloop/pool"
)

// Two devices post; each one's messages are handled in order.
func Example() {
	p, err := pool.New(pool.Config{Workers: 2})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	sums := make([]int, 2)
	type reading struct{ device, value int }
	lanes, err := pool.NewLanes(p, pool.LaneConfig{Lanes: 64, Depth: 16}, func(batch []reading) {
		for _, r := range batch {
			sums[r.device] = 10*sums[r.device] + r.value
		}
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	for value := 1; value <= 3; value++ {
		lanes.Post(0, reading{0, value})
		lanes.Post(1, reading{1, value + 3})
	}
	if err := p.Stop(context.Background()); err != nil { // handles what was taken
		fmt.Fprintln(os.Stderr, err)
		return
	}
	fmt.Println(sums)
	// Output: [123 456]
}
