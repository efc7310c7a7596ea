package uplog_test

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"edgeloop/backbone/names"
	"edgeloop/backbone/uplog"
)

// docs/data.md names each field of a record, and no other, and all streams and subjects.
func TestDataPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/data.md")
	if err != nil {
		t.Fatal(err)
	}
	fields := map[string]any{}
	for _, r := range []uplog.Record{
		{Tenant: "t", Device: "d", Seq: 1, Type: "alert", Topic: []byte("x"), Level: []byte("y"), TS: 1, Data: []byte("1")},
		{Tenant: "t", Device: "d", High: 1, Session: "e1", Type: "status", Data: []byte("1"), Base64: true, Properties: []byte(`{}`), MQTT: 1, Retain: true},
	} {
		if err := json.Unmarshal(uplog.Line(&r), &fields); err != nil {
			t.Fatal(err)
		}
	}
	_, rest, _ := strings.Cut(string(page), "## Records")
	rest, _, _ = strings.Cut(rest, "## ")
	var told []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z]+)` \\|").FindAllStringSubmatch(rest, -1) {
		told = append(told, m[1])
	}
	slices.Sort(told)
	if have := slices.Sorted(maps.Keys(fields)); !slices.Equal(told, have) {
		t.Errorf("docs/data.md has the fields %v, a record %v", told, have)
	}
	for _, name := range append(names.Beside(), names.StreamUp, names.Up, names.Sync, names.Down, names.Presence, names.Ban, names.Place, names.Node) {
		if !strings.Contains(string(page), "`"+name) {
			t.Errorf("docs/data.md does not name %s", name)
		}
	}
}
