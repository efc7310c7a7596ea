package main

import (
	"encoding/json"
	"os"
	"testing"

	"edgeloop/bench"
)

// TestRun_ExitCodes: a wrong flag and a node that is not there could not be
// carried out, and the result is written all the same.
func TestRun_ExitCodes(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, c := range []struct {
		name string
		args []string
		want int
	}{
		{"unknown flag", []string{"idle", "--conections=5"}, exitBroken},
		{"no such scenario", []string{"party"}, exitBroken},
		{"no target", []string{"idle"}, exitBroken},
		{"no devices", []string{"idle", "--url=ws://127.0.0.1:1/", "-c", "0"}, exitBroken},
		{"nobody listens", []string{"connect", "--url=ws://127.0.0.1:1/", "-c", "1", "--connect-timeout=100ms"}, exitBroken},
	} {
		if got := exitCode(run(c.args)); got != c.want {
			t.Errorf("%s: exit code %d, want %d", c.name, got, c.want)
		}
	}
	b, err := os.ReadFile("edgebench-connect.json")
	if err != nil {
		t.Fatal(err)
	}
	var r bench.Result
	if err := json.Unmarshal(b, &r); err != nil || r.OK || r.Error == "" {
		t.Errorf("%v: ok %v, error %q", err, r.OK, r.Error)
	}
}
