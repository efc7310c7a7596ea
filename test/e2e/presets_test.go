package e2e_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"edgeloop/internal/testkit"
)

// preset is a configuration of examples, in which text is replaced, for --config.
func preset(t *testing.T, path string, replace map[string]string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../examples", path))
	if err != nil {
		t.Fatal(err)
	}
	config := string(text)
	for from, to := range replace {
		if !strings.Contains(config, from) {
			t.Fatalf("%s does not have %s", path, from)
		}
		config = strings.ReplaceAll(config, from, to)
	}
	own := filepath.Join(t.TempDir(), "edgeloop.yaml")
	if err := os.WriteFile(own, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return "--config=" + own
}

// What a node with the preset of PostgreSQL stores is what the panels of its board ask for.
func TestPresets_Board(t *testing.T) {
	t.Parallel()
	db := testkit.NewPostgres(t)
	t.Cleanup(db.Close)
	n := prepare(t, "--auth=none", preset(t, "postgres/edgeloop.yaml", map[string]string{"postgres://edge@db:5432/telemetry": db.URL()}))
	n.env = []string{"DB_PASSWORD=right"}
	n.boot()
	d := upgradeRaw(t, n, "?device=pump-1", "")
	for _, text := range []string{
		`{"type":"telemetry","seq":1,"topic":"host","data":{"temp":21.5,"name":"a"}}`,
		`{"type":"telemetry","seq":2,"data":"text"}`, `{"type":"alert","seq":3,"level":"critical","data":{"temp":99}}`,
	} {
		d.say(frame(fin|opText, text))
		d.wantText("ack")
	}
	testkit.Eventually(t, patience, "the table to have all", func() bool {
		return n.sink()["lag_records"] == 0.0 && db.PSQL(t, "SELECT count(*) FROM telemetry")[0] == "3"
	})
	n.kill()
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ RawSQL string }
		}
	}
	text, err := os.ReadFile("../../examples/postgres/board.json")
	if err == nil {
		err = json.Unmarshal(text, &board)
	}
	if err != nil || len(board.Panels) == 0 {
		t.Fatal(err)
	}
	for _, p := range board.Panels {
		sql := strings.NewReplacer("$__timeFilter(time)", "time > now() - interval '1 hour'", "$device", "pump-1").Replace(p.Targets[0].RawSQL)
		if rows := db.PSQL(t, sql); len(rows) == 0 || rows[0] == "0" {
			t.Errorf("%s: %s gives %q", p.Title, sql, rows)
		}
	}
}
