package eventloop_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"edgeloop/internal/testkit"
)

// TestMain is also the main function of the child processes that some tests
// start: a node whose descriptors run out must be a process of its own.
func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		os.Exit(childMain())
	}
	testkit.Leaks(m,
		// The turnstile hands connections over on gnet's own pool, whose idle workers
		// stay for some seconds, and one that a stop overtook stays for good.
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*goWorker).run.func1"),
		// gnet's own package starts a pool when it is imported (libraries.md 1.10).
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers"),
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).ticktock"),
	)
}
