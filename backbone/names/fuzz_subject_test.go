package names_test

import (
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"edgeloop/backbone/names"
)

// Any two devices: each has a subject that the server takes as a literal one of
// its stream, they share it only if they are the same device, and a filter for a
// tenant, a device or both lets through what it names and nothing else, as the
// server's own matching sees it.
func FuzzSubject(f *testing.F) {
	f.Add("default", "dev-1", "default", "dev-2")
	f.Add("a.b", "c", "a", "b.c")
	f.Add("*", ">", "=2A", "=3E")
	f.Add("a", "", "", "a")
	f.Add("a=2Eb", "x", "a.b", "x")
	f.Add("\xff\x00 \r\n\t", "é", "$SYS", "_INBOX")
	f.Fuzz(func(t *testing.T, tenant, device, tenant2, device2 string) {
		subject, err := names.Subject(names.Up, tenant, device)
		if (err != nil) != (tenant == "" || device == "") {
			t.Fatalf("%q %q: %v", tenant, device, err)
		}
		if t2, d2, ok := names.Split(subject, names.Up); err == nil && (!ok || t2 != tenant || d2 != device) {
			t.Errorf("%q %q comes back from %s as %q %q, %v", tenant, device, subject, t2, d2, ok)
		}
		other, err2 := names.Subject(names.Up, tenant2, device2)
		if err != nil || err2 != nil {
			return
		}
		same := tenant == tenant2 && device == device2
		if (subject == other) != same {
			t.Errorf("%q %q and %q %q have %s and %s", tenant, device, tenant2, device2, subject, other)
		}
		if !server.IsValidPublishSubject(subject) || !server.IsValidLiteralSubject(subject) ||
			strings.Count(subject, ".") != 3 || !server.SubjectMatchesFilter(subject, "edgeloop.up.*.*") {
			t.Errorf("%q %q has %s", tenant, device, subject)
		}
		for _, c := range []struct {
			tenant, device string
			want           bool
		}{
			{"", "", true},
			{tenant2, "", tenant == tenant2},
			{"", device2, device == device2},
			{tenant2, device2, same},
		} {
			filter := names.Filter(names.Up, c.tenant, c.device)
			if got := server.IsValidSubject(filter) && server.SubjectMatchesFilter(subject, filter); got != c.want {
				t.Errorf("filter %s on %s: %v, want %v", filter, subject, got, c.want)
			}
		}
	})
}
