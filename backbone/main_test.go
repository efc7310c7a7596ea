package backbone_test

import (
	"fmt"
	"os"
	"testing"

	"edgeloop/backbone/backbonetest"
)

// TestMain is also the device side of TestBackbone_SurvivesKill: with childDir in
// the environment this process is the one to be killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := appendUntilKilled(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	backbonetest.Main(m)
}
