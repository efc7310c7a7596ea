package e2e_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"edgeloop/internal/testkit"
)

// arrived are the records of a device in the files of a sink, without those that came twice.
func arrived(t *testing.T, dir, device string) (all []sent) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if errors.Is(err, fs.ErrNotExist) { // it has just got its last name
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(text) {
			var r sent
			if bytes.HasSuffix(line, []byte{'\n'}) && json.Unmarshal(line, &r) == nil && r.Device == device && !seen[r.Position] {
				seen[r.Position] = true
				all = append(all, r)
			}
		}
	}
	return all
}

func kindsOf(all []sent) (kinds []string) {
	for _, r := range all {
		kinds = append(kinds, r.Type)
	}
	return kinds
}

// refusedStatus is how a node answers a device that it does not let in.
func refusedStatus(t *testing.T, n *node, query string) int {
	t.Helper()
	c := dialTCP(t, n.listen)
	fmt.Fprintf(c, "GET /v1/device%s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n", query, n.listen)
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// A device connects, sends, is banned and cut, and is refused when it comes again: a sink gets
// all of that in its order, each connection's records between its two events. The node is
// killed: what it kept of events is there, the connection that the kill ended has no end, and
// the next one has a higher epoch. A sink may ask for some of it alone.
func TestEvents_LeaveAsRecords(t *testing.T) {
	t.Parallel()
	for name, elsewhere := range map[string]bool{"own log": false, "log elsewhere": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, some := t.TempDir(), t.TempDir()
			flags := []string{"--auth=none", "--events=connected,disconnected,refused,banned", withSinks(t, `
  - name: all
    type: file
    dir: `+dir+`
    batch: {wait: 10ms}
  - name: some
    type: file
    dir: `+some+`
    filter: {types: [connected, banned]}
    batch: {wait: 10ms}
`)}
			if elsewhere {
				flags = append(flags, "--nats-url", startNATS(t).url())
			}
			n := start(t, flags...)
			waitFor := func(want ...string) (all []sent) {
				t.Helper()
				testkit.Eventually(t, patience, "the file to have what happened", func() bool {
					all = arrived(t, dir, "d1")
					return len(all) >= len(want)
				})
				if kinds := kindsOf(all); !slices.Equal(kinds, want) {
					t.Fatalf("the file has %v, want %v", kinds, want)
				}
				return all
			}
			d := upgradeRaw(t, n, "?device=d1", "")
			for range 3 {
				d.say(frame(fin|opText, `{"type":"telemetry","data":1}`))
			}
			waitFor("connected", "telemetry", "telemetry", "telemetry")
			if status, _ := n.api("PUT", "/v1/bans/default/d1", map[string]any{"reason": "stolen"}); status != 201 {
				t.Fatalf("ban: %d", status)
			}
			d.wantClose(4403)
			want := []string{"connected", "telemetry", "telemetry", "telemetry", "banned", "disconnected"}
			all := waitFor(want...)
			for _, r := range all {
				if r.Epoch != all[0].Epoch || r.Received == 0 {
					t.Errorf("%+v: the connection has epoch %d", r, all[0].Epoch)
				}
			}
			if got := string(all[5].Data); !containsAll(got, `"cause":"closed"`, `"code":4403`, `"reason":"forbidden"`, `"remote":"127.`) {
				t.Errorf("disconnected: %s", got)
			}
			if status := refusedStatus(t, n, "?device=d1"); status != 403 {
				t.Errorf("a banned device was answered %d", status)
			}
			want = append(want, "refused")
			if all = waitFor(want...); !containsAll(string(all[6].Data), `"cause":"forbidden"`, "stolen") {
				t.Errorf("refused: %s", all[6].Data)
			}
			if status, _ := n.api("DELETE", "/v1/bans/default/d1", nil); status != 204 {
				t.Fatalf("lift the ban: %d", status)
			}
			upgradeRaw(t, n, "?device=d1", "")
			want = append(want, "connected")
			waitFor(want...)
			n.kill()
			n.boot()
			d = upgradeRaw(t, n, "?device=d1", "")
			want = append(want, "connected")
			if all = waitFor(want...); all[8].Epoch <= all[7].Epoch || all[7].Epoch <= all[0].Epoch {
				t.Errorf("epochs %d, %d, %d", all[0].Epoch, all[7].Epoch, all[8].Epoch)
			}
			d.Close()
			waitFor(append(want, "disconnected")...)
			testkit.Eventually(t, patience, "the sink with a filter to have what it asked for", func() bool {
				return slices.Equal(kindsOf(arrived(t, some, "d1")), []string{"connected", "banned", "connected", "connected"})
			})
			if tail := n.tail("--device", "d1"); len(tail) != 10 {
				t.Errorf("the tail of the device has %d records", len(tail))
			}
			n.stop()
		})
	}
}
