package sink_test

import (
	"strings"
	"testing"

	"edgeloop/sink"
	"edgeloop/sink/keys"
)

func template(t *testing.T, text string) sink.Template {
	t.Helper()
	m := keys.New("sinks.test", map[string]any{"key": text})
	out := sink.ReadTemplate(m, "key", "x")
	if err := m.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// Names may hold what stands between two fields, and still no two devices share a name made
// of both; what cannot be told apart is refused at the start.
func TestTemplate_NoTwoDevicesShareAName(t *testing.T) {
	names := []string{""}
	for from := 0; len(names) < 85; {
		to := len(names)
		for ; from < to; from++ {
			for _, c := range []string{"a", ":", "-", "."} {
				names = append(names, names[from]+c)
			}
		}
	}
	for _, text := range []string{"x:{tenant}:{device}", "{device}-{tenant}", "{tenant}.{device}", "{tenant}::{device}:x", "{tenant}/{device}"} {
		tmpl, owner := template(t, text), map[string]string{}
		for _, tenant := range names[1:] {
			for _, device := range names[1:] {
				r := sink.Record{Tenant: tenant, Device: device}
				name := tmpl.Expand(&r, nil)
				if other, taken := owner[name]; taken {
					t.Fatalf("%s: %s is of tenant and device %s and of %s %s", text, name, other, tenant, device)
				}
				owner[name] = tenant + " " + device
			}
		}
	}
	for _, text := range []string{"{tenant}{device}", "{tenant}={device}", "{tenant}3D{device}"} {
		m := keys.New("sinks.test", map[string]any{"key": text})
		sink.ReadTemplate(m, "key", "x")
		if err := m.Err(); err == nil || !strings.Contains(err.Error(), "where {tenant} ends") {
			t.Errorf("%s: it says %v", text, err)
		}
	}
}

// Most names stay as they are: what is escaped is only what could be mistaken.
func TestTemplate_Names(t *testing.T) {
	r := sink.Record{Tenant: "a:b", Device: "00:1b:c4", Type: "status", Topic: "s=1/x:y"}
	for text, want := range map[string]string{
		"{device}": "00:1b:c4", "edge:{tenant}": "edge:a:b", "{tenant}:{device}": "a=3Ab:00:1b:c4", "{type}:{device}": "status:00:1b:c4",
		"{device}/{type}": "00:1b:c4/status", "{topic}:{device}": "s=3D1/x=3Ay:00:1b:c4", "{device}:{topic}": "00=3A1b=3Ac4:s=1/x:y",
	} {
		tmpl := template(t, text)
		if got := tmpl.Expand(&r, nil); got != want {
			t.Errorf("%s is %s, want %s", text, got, want)
		}
	}
}
