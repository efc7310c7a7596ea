package admin_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"edgeloop/admin"
)

// What alerts and the board ask for exists, and each alert has its part of the
// runbook. promtool, in `make monitoring-test`, knows whether they fire.
func TestMonitoring_AsksForWhatThereIs(t *testing.T) {
	known := map[string]bool{}
	for _, s := range admin.SeriesTable() {
		known[s.Name] = true
	}
	runbook := read(t, "../docs/operations.md")
	series := regexp.MustCompile(`\bedgeloop_[a-z_]+`)
	for _, path := range []string{"../packaging/monitoring/alerts.yaml", "../packaging/monitoring/alerts_test.yaml", "../packaging/monitoring/grafana.json"} {
		found := series.FindAllString(read(t, path), -1)
		if len(found) == 0 {
			t.Errorf("%s asks for nothing", path)
		}
		for _, name := range found {
			if !known[strings.TrimSuffix(name, "_bucket")] {
				t.Errorf("%s asks for %s, which is not in SeriesTable", path, name)
			}
		}
	}
	anchors := map[string]bool{}
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(runbook, -1) {
		words := regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(heading[1]), "")
		anchors["docs/operations.md#"+strings.ReplaceAll(words, " ", "-")] = true
	}
	alerts := read(t, "../packaging/monitoring/alerts.yaml")
	runbooks := regexp.MustCompile(`runbook: (\S+)`).FindAllStringSubmatch(alerts, -1)
	if n := strings.Count(alerts, "- alert:"); len(runbooks) != n {
		t.Errorf("%d alerts have %d runbooks", n, len(runbooks))
	}
	for _, r := range runbooks {
		if !anchors[r[1]] {
			t.Errorf("no part of the docs is called %s", r[1])
		}
	}
}

// The board is one that Grafana can take: every panel has a number and a place of its
// own and asks something of the data source that the board lets one choose.
func TestMonitoring_Board(t *testing.T) {
	var board struct {
		UID           string `json:"uid"`
		SchemaVersion int    `json:"schemaVersion"`
		Panels        []struct {
			ID      int    `json:"id"`
			Type    string `json:"type"`
			Title   string `json:"title"`
			GridPos struct{ X, Y, W, H int }
			Targets []struct {
				Expr       string `json:"expr"`
				Datasource struct {
					UID string `json:"uid"`
				} `json:"datasource"`
			} `json:"targets"`
		} `json:"panels"`
	}
	if err := json.Unmarshal([]byte(read(t, "../packaging/monitoring/grafana.json")), &board); err != nil {
		t.Fatal(err)
	}
	if board.UID == "" || board.SchemaVersion < 30 || len(board.Panels) < 10 {
		t.Errorf("uid %q, schema %d, %d panels", board.UID, board.SchemaVersion, len(board.Panels))
	}
	ids, cells := map[int]bool{}, map[[2]int]string{}
	for _, p := range board.Panels {
		if ids[p.ID] {
			t.Errorf("two panels have the number %d", p.ID)
		}
		ids[p.ID] = true
		if p.GridPos.X+p.GridPos.W > 24 || p.Title == "" {
			t.Errorf("panel %q ends beyond the board, or has no title", p.Title)
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := cells[[2]int{x, y}]; other != "" {
					t.Fatalf("%q lies over %q", p.Title, other)
				}
				cells[[2]int{x, y}] = p.Title
			}
		}
		if (len(p.Targets) == 0) != (p.Type == "row") {
			t.Errorf("panel %q of type %s asks %d questions", p.Title, p.Type, len(p.Targets))
		}
		for _, q := range p.Targets {
			if q.Expr == "" || q.Datasource.UID != "${datasource}" {
				t.Errorf("panel %q asks %q of %q", p.Title, q.Expr, q.Datasource.UID)
			}
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
