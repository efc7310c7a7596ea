package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"edgeloop/admin/api"
	"edgeloop/internal/testkit"
)

const commandPath = "/v1/devices/default/d1/commands"

func TestCommand_Request(t *testing.T) {
	f := newFixture(t)
	for name, c := range map[string]struct {
		query, body string
		want        api.Command
	}{
		"only a name": {"", `{"name":"ping"}`, api.Command{CommandRequest: api.CommandRequest{Name: "ping"}}},
		"all of it": {"?wait=5s", `{"name":"set","data":{"s": 5},"ttl":"1h"}`, api.Command{
			CommandRequest: api.CommandRequest{Name: "set", Data: json.RawMessage(`{"s": 5}`), TTL: api.Duration(time.Hour)},
			Wait:           api.Duration(5 * time.Second),
		}},
		"data is any value":   {"?wait=0s", `{"name":"x","data":null}`, api.Command{CommandRequest: api.CommandRequest{Name: "x", Data: json.RawMessage(`null`)}}},
		"the longest name":    {"", `{"name":"` + strings.Repeat("n", 128) + `"}`, api.Command{CommandRequest: api.CommandRequest{Name: strings.Repeat("n", 128)}}},
		"the longest wait":    {"?wait=5m", `{"name":"x"}`, api.Command{CommandRequest: api.CommandRequest{Name: "x"}, Wait: api.Duration(5 * time.Minute)}},
		"the least to live":   {"", `{"name":"x","ttl":"1s"}`, api.Command{CommandRequest: api.CommandRequest{Name: "x", TTL: api.Duration(time.Second)}}},
		"now or never":        {"", `{"name":"x","ttl":"0s"}`, api.Command{CommandRequest: api.CommandRequest{Name: "x", Now: true}}},
		"a name not in ASCII": {"", `{"name":"läuft"}`, api.Command{CommandRequest: api.CommandRequest{Name: "läuft"}}},
	} {
		t.Run(name, func(t *testing.T) {
			var got api.Command
			f.commands.CommandFunc = func(_ context.Context, c api.Command) (api.CommandResult, error) {
				got = c
				return api.CommandResult{ID: "1", State: api.CommandSent}, nil
			}
			f.call("POST", commandPath+c.query, c.body).want(http.StatusAccepted)
			c.want.Tenant, c.want.Device = "default", "d1"
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("sent %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestCommand_Refused(t *testing.T) {
	f := newFixture(t)
	f.commands.CommandFunc = func(context.Context, api.Command) (api.CommandResult, error) {
		t.Error("a command was sent")
		return api.CommandResult{}, nil
	}
	for body, field := range map[string]string{
		``: "name", `{}`: "name", `{"name":""}`: "name", `{"name":5}`: "name", `{"name":null}`: "name",
		`{"name":"` + strings.Repeat("n", 129) + `"}`: "name",
		`{"name":"x","ttl":5}`:                        "ttl",
		`{"name":"x","ttl":"5"}`:                      "ttl",
		`{"name":"x","ttl":null}`:                     "ttl",
		`{"name":"x","ttl":"999ms"}`:                  "ttl",
		`{"name":"x","ttl":"-1h"}`:                    "ttl",
	} {
		t.Run(body, func(t *testing.T) { f.call("POST", commandPath, body).refused(field) })
	}
	for _, wait := range []string{"5", "x", "", "-1s", "5m1s"} {
		p := f.call("POST", commandPath+"?wait="+wait, `{"name":"x"}`).refused("wait")
		if p.Max != "5m0s" {
			t.Errorf("wait=%s: the most is %v", wait, p.Max)
		}
	}
}

// The four ends of a command, as the design's section 8 has them; the fifth, a
// device never seen, is in TestProblem_OfErrors.
func TestCommand_Outcome(t *testing.T) {
	f := newFixture(t)
	var result api.CommandResult
	f.commands.CommandFunc = func(context.Context, api.Command) (api.CommandResult, error) { return result, nil }

	result = api.CommandResult{ID: "01J", State: api.CommandReplied, Reply: api.Reply{OK: true, Data: json.RawMessage(`{"t":"<21.5>"}`)}}
	r := f.call("POST", commandPath+"?wait=5s", `{"name":"x"}`).want(http.StatusOK)
	if want := `{"id":"01J","ok":true,"data":{"t":"<21.5>"}}` + "\n"; string(r.body) != want {
		t.Errorf("a reply is %s, want %s", r.body, want)
	}
	result = api.CommandResult{ID: "01J", State: api.CommandReplied}
	r = f.call("POST", commandPath+"?wait=5s", `{"name":"x"}`).want(http.StatusOK)
	if want := `{"id":"01J","ok":false,"data":null}` + "\n"; string(r.body) != want {
		t.Errorf("a reply without data is %s, want %s", r.body, want)
	}
	result.Reply = api.Reply{Code: "busy", Message: "measuring", Data: json.RawMessage(`"AA=="`), Encoding: "base64"}
	r = f.call("POST", commandPath+"?wait=5s", `{"name":"x"}`).want(http.StatusOK)
	if want := `{"id":"01J","ok":false,"code":"busy","message":"measuring","data":"AA==","encoding":"base64"}` + "\n"; string(r.body) != want {
		t.Errorf("a reply with code and data is %s, want %s", r.body, want)
	}
	for _, state := range []api.CommandState{api.CommandSent, api.CommandLeft} {
		result = api.CommandResult{ID: "01J", State: state}
		var got api.Accepted
		f.call("POST", commandPath, `{"name":"x"}`).want(http.StatusAccepted).into(&got)
		if got.ID != "01J" || got.State != state {
			t.Errorf("accepted %+v, want state %s", got, state)
		}
	}
	until := time.Date(2026, 11, 28, 6, 0, 0, 0, time.UTC)
	result = api.CommandResult{ID: "01J", State: api.CommandLeft, Expires: &until}
	r = f.call("POST", commandPath, `{"name":"x"}`).want(http.StatusAccepted)
	if want := `{"id":"01J","state":"left","expires":"2026-11-28T06:00:00Z"}` + "\n"; string(r.body) != want {
		t.Errorf("left is %s, want %s", r.body, want)
	}
	result = api.CommandResult{ID: "01J", State: api.CommandNoReply}
	if p := f.call("POST", commandPath+"?wait=5s", `{"name":"x"}`).problem(http.StatusGatewayTimeout, "no-reply"); p.ID != "01J" {
		t.Errorf("the problem names command %q", p.ID)
	}
	result = api.CommandResult{ID: "01J", State: "surprising"}
	f.call("POST", commandPath, `{"name":"x"}`).problem(http.StatusInternalServerError, "internal")
}

// An operator who goes away while a command waits takes the wait with him.
func TestCommand_CallerLeaves(t *testing.T) {
	f := newFixture(t)
	waiting, left := make(chan struct{}), make(chan error, 1)
	f.commands.CommandFunc = func(ctx context.Context, _ api.Command) (api.CommandResult, error) {
		close(waiting)
		<-ctx.Done()
		left <- ctx.Err()
		return api.CommandResult{}, ctx.Err()
	}
	ctx, leave := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.http.URL+commandPath+"?wait=5m", strings.NewReader(`{"name":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	go func() {
		<-waiting
		leave()
	}()
	if res, err := f.http.Client().Do(req); err == nil {
		res.Body.Close()
		t.Error("a reply came")
	}
	if err := testkit.Receive(t, time.Minute, "the command to stop waiting", left); !errors.Is(err, context.Canceled) {
		t.Errorf("the command's context ended with %v", err)
	}
}

func TestBroadcast(t *testing.T) {
	f := newFixture(t)
	for body, want := range map[string]api.Broadcast{
		`{"name":"x","all":true}`:                          {All: true, Name: "x"},
		`{"name":"x","tenant":"t"}`:                        {Tenant: "t", Name: "x"},
		`{"name":"x","tenant":"t","all":false}`:            {Tenant: "t", Name: "x"},
		`{"name":"x","group":"g"}`:                         {Tenant: "default", Group: "g", Name: "x"},
		`{"name":"x","group":"g","tenant":"t","data":[1]}`: {Tenant: "t", Group: "g", Name: "x", Data: json.RawMessage(`[1]`)},
	} {
		t.Run(body, func(t *testing.T) {
			var got api.Broadcast
			f.commands.BroadcastFunc = func(_ context.Context, b api.Broadcast) (api.BroadcastResult, error) {
				got = b
				return api.BroadcastResult{ID: "01J", Devices: 12345}, nil
			}
			var res api.BroadcastResult
			f.call("POST", "/v1/broadcast", body).want(http.StatusAccepted).into(&res)
			if !reflect.DeepEqual(got, want) || res.Devices != 12345 || res.ID != "01J" {
				t.Errorf("broadcast %+v to %+v, want %+v", got, res, want)
			}
		})
	}
	f.commands.BroadcastFunc = func(context.Context, api.Broadcast) (api.BroadcastResult, error) {
		t.Error("a broadcast was sent")
		return api.BroadcastResult{}, nil
	}
	for body, field := range map[string]string{
		``: "name", `{"all":true}`: "name", `{"name":"x"}`: "all", `{"name":"x","all":false}`: "all",
		`{"name":"x","tenant":""}`:            "all",
		`{"name":"x","all":true,"group":"g"}`: "all", `{"name":"x","all":true,"tenant":"t"}`: "all",
		`{"name":"x","all":1}`: "all", `{"name":"x","tenant":["t"]}`: "tenant",
		`{"name":"x","tenant":"` + strings.Repeat("t", 129) + `"}`: "tenant",
	} {
		t.Run(body, func(t *testing.T) { f.call("POST", "/v1/broadcast", body).refused(field) })
	}
	f.commands.BroadcastFunc = func(context.Context, api.Broadcast) (api.BroadcastResult, error) {
		return api.BroadcastResult{}, api.ErrDraining
	}
	f.call("POST", "/v1/broadcast", `{"name":"x","all":true}`).problem(http.StatusServiceUnavailable, "draining")
}

// What waits for a device is listed, and taken back one by one or, without an id, all.
func TestCommands_Waiting(t *testing.T) {
	f := newFixture(t)
	r := f.call("GET", commandPath, "").want(http.StatusOK)
	if want := `{"commands":[]}` + "\n"; string(r.body) != want {
		t.Errorf("nothing is %s, want %s", r.body, want)
	}
	at := time.Date(2026, 11, 28, 6, 0, 0, 0, time.UTC)
	f.commands.WaitingFunc = func(tenant, device string) []api.WaitingCommand {
		return []api.WaitingCommand{{ID: "01J", Name: tenant + "/" + device, Stored: at, Expires: at.Add(time.Hour)}}
	}
	var got api.WaitingCommands
	f.call("GET", commandPath, "").want(http.StatusOK).into(&got)
	if len(got.Commands) != 1 || got.Commands[0].ID != "01J" || !strings.Contains(commandPath, got.Commands[0].Name) || !got.Commands[0].Expires.Equal(at.Add(time.Hour)) {
		t.Errorf("listed %+v", got)
	}
	f.commands.CancelFunc = func(_, _, id string) int { return map[string]int{"": 7, "01J": 1}[id] }
	for query, want := range map[string]int{"": 7, "?id=01J": 1, "?id=other": 0} {
		var got api.Cancelled
		if f.call("DELETE", commandPath+query, "").want(http.StatusOK).into(&got); got.Cancelled != want {
			t.Errorf("%q took back %d, want %d", query, got.Cancelled, want)
		}
	}
	f.call("DELETE", commandPath+"?id=", "").refused("id")
}
