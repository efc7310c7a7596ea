package e2e_test

import (
	"os"
	"strings"
	"testing"

	"edgeloop/internal/testkit"
)

// sink is how the only sink of a node stands.
func (n *node) sink() map[string]any {
	n.t.Helper()
	_, all := n.api("GET", "/v1/sinks", nil)
	return all["sinks"].([]any)[0].(map[string]any)
}

// An operator sees what holds a sink up, reads what was refused, sends it again, pauses,
// rewinds; a reload changes sinks, and a mistake in them changes nothing.
func TestSinks_Operator(t *testing.T) {
	t.Parallel()
	r := startReceiver(t)
	config := withSinks(t, strings.ReplaceAll(r.hookTo(), "type: webhook", "type: webhook\n    on_refusal: stop"))
	n := prepare(t, "--auth=none", config)
	n.env = []string{"HOOK_SECRET=" + hookSecret}
	n.boot()
	d := upgradeRaw(t, n, "?device=d1", "")
	say := func(text string) {
		d.say(frame(fin|opText, text))
		d.wantText("ack")
	}
	say(`{"type":"telemetry","seq":1,"data":1}`)
	say(`{"type":"telemetry","seq":2,"topic":"poison","data":2}`)
	say(`{"type":"telemetry","seq":3,"data":3}`)
	var s map[string]any
	testkit.Eventually(t, patience, "the sink to stop in front of what is refused", func() bool {
		s = n.sink()
		return s["state"] == "stopped" && s["lag_records"] == 2.0
	})
	if why := s["last_error"].(string); !containsAll(why, "422", "default/d1", s["next"].(string)) {
		t.Errorf("%v", s)
	}
	if status, _ := n.api("POST", "/v1/sinks/hook/skip", map[string]any{"position": s["place"]}); status != 422 {
		t.Errorf("skipped another record: %d", status)
	}
	n.tool("sinks", "skip", "hook", "--position", s["next"].(string))
	r.waitHasLine(`"seq":3`)
	if out := n.tool("sinks", "dead-letters", "hook"); !containsAll(out, `"topic":"poison"`, "skipped", s["next"].(string)) {
		t.Errorf("dead letters: %s", out)
	}
	n.tool("sinks", "resend", "hook") // refused again, it stays
	say(`{"type":"telemetry","seq":4,"data":4}`)
	r.waitHasLine(`"seq":4`)
	if out := n.tool("sinks", "dead-letters", "hook"); !containsAll(out, `"topic":"poison"`) {
		t.Errorf("dead letters: %s", out)
	}
	if out := n.tool("sinks", "pause", "hook"); !containsAll(out, "paused") {
		t.Errorf("pause: %s", out)
	}
	say(`{"type":"telemetry","seq":5,"data":5}`)
	if out := n.tool("sinks"); !containsAll(out, "hook", "webhook", "paused") {
		t.Errorf("list: %s", out)
	}
	n.tool("sinks", "resume", "hook")
	r.waitHasLine(`"seq":5`)
	n.wantMetric("edgeloop_sink_lag_records", `sink="hook"`, 0)
	n.wantMetric("edgeloop_sink_state", `sink="hook",state="running"`, 1)
	before := r.count(`"seq":1,`)
	n.tool("sinks", "pause", "hook")
	n.tool("sinks", "rewind", "hook", "--to", "oldest")
	file := strings.TrimPrefix(config, "--config=")
	rewrite(t, file, "on_refusal: stop", "on_refusal: drop")
	n.reload("on_refusal")
	rewrite(t, file, "on_refusal: drop", "on_refusal: dead-letter")
	n.reload("sinks")
	n.tool("sinks", "resume", "hook")
	testkit.Eventually(t, patience, "the records behind the new place to come again", func() bool { return r.count(`"seq":1,`) > before })
	n.stop()
}

func rewrite(t *testing.T, path, from, to string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, []byte(strings.ReplaceAll(string(b), from, to)), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// count is how often a text came.
func (r *receiver) count(text string) int {
	r.t.Helper()
	b, err := os.ReadFile(r.file)
	if err != nil {
		r.t.Fatal(err)
	}
	return strings.Count(string(b), text)
}

func (r *receiver) waitHasLine(text string) {
	r.t.Helper()
	testkit.Eventually(r.t, patience, text+" to arrive", func() bool { return r.count(text) > 0 })
}
