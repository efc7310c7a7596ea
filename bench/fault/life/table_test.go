package life_test

import (
	"strings"
	"testing"

	"edgeloop/bench/fault/life"
)

// The table adds up the lives of each scenario and names what was broken.
func TestWriteTable(t *testing.T) {
	var b strings.Builder
	err := life.WriteTable(&b, []life.Result{
		{Scenario: "kill", Devices: 300, Seed: 1, Kills: 10, Acked: 100, Logged: 100, WorstBoot: 0.5, Settle: 1, RSS: 30 << 20},
		{Scenario: "full", Devices: 200, Seed: 1, Faults: 3, Acked: 7, Logged: 6, Notes: []string{"held back"}, Violations: []string{"lost: a 7"}},
		{Scenario: "kill", Devices: 300, Seed: 2, Kills: 11, Acked: 50, Logged: 50, WorstBoot: 0.75, RSS: 20 << 20},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| kill | 300 | 1 to 2 | 2 | 21 | 0 | 150 | 150 | 0.75 s | 1.0 s | 30 MiB | 0 |\n| full | 200 | 1 | 1 | 0 | 3 | 7 | 6 | 0.00 s | 0.0 s | 0 MiB | 1 |\n",
		"| all | 200 to 300 | 1 to 2 | 3 | 21 | 3 | 157 | 156 | 0.75 s | 1.0 s | 30 MiB | 1 |\n",
		"- **full, seed 1, BROKEN: lost: a 7**\n", "- full, seed 1: held back\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}
