package file_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"edgeloop/sink/file"
	"edgeloop/sink/keys"
	"edgeloop/sink/sinktest"
)

// Lines are in the form that is asked for, and files get their names by the first position
// also when another process goes on with them.
func TestFile_Formats(t *testing.T) {
	for form, values := range map[string]map[string]any{"fields": {"fields": sinktest.Fields()}, "cloudevents": {"format": "cloudevents"}} {
		t.Run(form, func(t *testing.T) {
			dir := t.TempDir()
			values["dir"], values["min_free"], values["max_size"] = dir, 0, "4KiB"
			for from := uint64(1); from < 300; from += 100 { // each more than a file takes
				d := sinktest.New(t, file.New, values)
				if _, err := sinktest.Send(t, d, sinktest.Records(from, from+99)); err != nil {
					t.Fatal(err)
				}
				if err := d.Close(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			files, err := filepath.Glob(filepath.Join(dir, "records-*-"+sinktest.Log+"-1.ndjson"))
			if err != nil || len(files) != 1 {
				t.Fatalf("%v, %v", files, err)
			}
			text, err := os.ReadFile(files[0])
			if first, _, _ := strings.Cut(string(text), "\n"); err != nil || form == "fields" && first != sinktest.FieldsText(1) || !strings.Contains(first, `"`+sinktest.Log+`-1"`) {
				t.Errorf("%s, %v", first, err)
			}
		})
	}
	fields := sinktest.Fields()
	delete(fields, "position")
	fields["at"] = "position"
	m := keys.New("sinks.test", map[string]any{"dir": "/x", "fields": fields})
	file.New(m)
	if err := m.Err(); err == nil || !strings.Contains(err.Error(), "sinks.test.fields: has no position") {
		t.Errorf("it says %v", err)
	}
}
