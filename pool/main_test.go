package pool_test

import (
	"testing"

	"go.uber.org/goleak"

	"edgeloop/internal/testkit"
)

// Importing ants starts a pool of its own, whose two clocks never stop.
func TestMain(m *testing.M) {
	testkit.Leaks(m,
		goleak.IgnoreTopFunction("github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers"),
		goleak.IgnoreTopFunction("github.com/panjf2000/ants/v2.(*poolCommon).ticktock"),
	)
}
