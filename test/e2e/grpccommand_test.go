package e2e_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	v1 "edgeloop/api/edgeloop/v1"
	"edgeloop/internal/testkit"
)

// A service sends a command and gets the device's reply; what waits for a device that is
// away can be listed and taken back; and who comes and goes is told as it happens.
func TestGRPC_CommandsAndPresence(t *testing.T) {
	t.Parallel()
	n := startGRPC(t)
	c := n.client(n.own())
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	here := upgradeRaw(t, n.node, "?device=here", "")
	here.say(frame(fin|opText, `{"type":"telemetry","seq":1,"data":1}`))
	here.wantText("ack")
	watch, err := c.Presence().Watch(ctx, &v1.WatchRequest{})
	if err != nil {
		t.Fatal(err)
	}
	next := func() *v1.WatchResponse {
		t.Helper()
		m, err := recv(t, watch.Recv)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	if m := next(); m.GetDevice().GetDevice() != "here" || !m.GetDevice().GetOnline() {
		t.Errorf("the watch begins with %v", m)
	}
	if m := next(); m.GetCurrent() == nil {
		t.Errorf("%v, want the mark behind who is here", m)
	}
	defer here.Close()
	launch(t, n.node, 1, 1, nil).waitAcked(patience, 1)
	for _, online := range []bool{true, false} {
		if m := next(); m.GetDevice().GetDevice() != "d0000" || m.GetDevice().GetOnline() != online {
			t.Errorf("%v, want d0000 to be here: %v", m, online)
		}
	}

	_, err = c.Commands().Send(ctx, &v1.SendRequest{Device: "here", Name: "x", WaitMs: 1})
	want(t, err, codes.DeadlineExceeded, "did not answer within 1ms")
	_, err = c.Commands().Send(ctx, &v1.SendRequest{Device: "nobody", Name: "x"})
	want(t, err, codes.NotFound, "never seen")
	_, err = c.Commands().Send(ctx, &v1.SendRequest{Device: "here", Name: "x", Data: []byte("{")})
	want(t, err, codes.InvalidArgument, "data is not JSON")
	left, err := c.Commands().Send(ctx, &v1.SendRequest{Device: "d0000", Name: "later", Data: []byte(`{"s":5}`)})
	if err != nil || left.GetState() != v1.SendResponse_STATE_LEFT || left.GetExpires() < time.Now().UnixMilli() {
		t.Fatalf("%v, %v, want it to be left", left, err)
	}
	waiting, err := c.Commands().List(ctx, &v1.ListCommandsRequest{Device: "d0000"})
	if err != nil || len(waiting.GetCommands()) != 1 || waiting.GetCommands()[0].GetId() != left.GetId() || waiting.GetCommands()[0].GetName() != "later" {
		t.Errorf("%v, %v, want the command", waiting, err)
	}
	gone, err := c.Commands().Cancel(ctx, &v1.CancelRequest{Device: "d0000", What: &v1.CancelRequest_All{All: true}})
	if err != nil || gone.GetCancelled() != 1 {
		t.Errorf("%v, %v, want one taken back", gone, err)
	}
	testkit.Eventually(t, patience, "the audit's line of it", func() bool {
		return containsAll(n.log.String(), "changed through gRPC", `"change": "cancel"`, `"principal": "admin.token"`)
	})
}

// A device's own words come back as the reply of a command.
func TestGRPC_CommandReply(t *testing.T) {
	withEachLibrary(t, func(t *testing.T, lib string) {
		n := startGRPC(t)
		d := startClient(t, lib).dial(order{URL: n.url("?device=d1"), Protocols: []string{"edgeloop.v1.json"}})
		d.want("open")
		d.wantMessage("welcome")
		type result struct {
			*v1.SendResponse
			error
		}
		answers := make(chan result, 1)
		c := n.client(n.own())
		go func() {
			r, err := c.Commands().Send(context.Background(), &v1.SendRequest{Device: "d1", Name: "set", Data: []byte(`{"s":5}`), WaitMs: 60_000})
			answers <- result{r, err}
		}()
		m := d.wantMessage("command")
		d.send(message{"type": "reply", "id": m["id"], "ok": true, "data": message{"was": 1}})
		got := testkit.Receive(t, patience, "the reply", answers)
		if got.error != nil || got.GetId() != m["id"] || got.GetState() != v1.SendResponse_STATE_REPLIED || !got.GetReply().GetOk() || string(got.GetReply().GetData()) != `{"was":1}` {
			t.Errorf("%v, %v", got.SendResponse, got.error)
		}
	})
}
