package grpcapi_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"edgeloop/admin/grpcapi"
	v1 "edgeloop/api/edgeloop/v1"
	"edgeloop/overload"
)

// everyCall makes each call once, and says how it is answered at first.
func everyCall(t *testing.T, conn grpc.ClientConnInterface) map[string]func(context.Context) error {
	t.Helper()
	return map[string]func(context.Context) error{
		v1.Log_Read_FullMethodName: func(ctx context.Context) error {
			_, err := begun(ctx, conn)
			return err
		},
		v1.Log_Seek_FullMethodName: func(ctx context.Context) error {
			_, err := v1.NewLogClient(conn).Seek(ctx, &v1.SeekRequest{Reader: "lake", To: &v1.SeekRequest_Start{Start: v1.Start_START_OLDEST}})
			return err
		},
		v1.Commands_Send_FullMethodName: func(ctx context.Context) error {
			_, err := v1.NewCommandsClient(conn).Send(ctx, &v1.SendRequest{Device: "d", Name: "blink"})
			return err
		},
		v1.Commands_List_FullMethodName: func(ctx context.Context) error {
			_, err := v1.NewCommandsClient(conn).List(ctx, &v1.ListCommandsRequest{Device: "d"})
			return err
		},
		v1.Commands_Cancel_FullMethodName: func(ctx context.Context) error {
			_, err := v1.NewCommandsClient(conn).Cancel(ctx, &v1.CancelRequest{Device: "d", What: &v1.CancelRequest_All{All: true}})
			return err
		},
		v1.Presence_List_FullMethodName: func(ctx context.Context) error {
			_, err := v1.NewPresenceClient(conn).List(ctx, &v1.ListDevicesRequest{})
			return err
		},
		v1.Presence_Watch_FullMethodName: func(ctx context.Context) error {
			s, err := v1.NewPresenceClient(conn).Watch(ctx, &v1.WatchRequest{})
			if err == nil {
				_, err = s.Recv()
			}
			return err
		},
	}
}

// begun is a reading whose reader is open.
func begun(ctx context.Context, conn grpc.ClientConnInterface) (v1.Log_ReadClient, error) {
	s, err := v1.NewLogClient(conn).Read(ctx)
	if err != nil {
		return nil, err
	}
	_ = s.Send(&v1.ReadRequest{Request: &v1.ReadRequest_Open{Open: &v1.Open{Reader: "lake"}}}) // Recv says why not
	_, err = s.Recv()
	return s, err
}

// spared says whether a call was refused because the node has too much to do, and insists that
// it is said when to call again.
func spared(t *testing.T, name string, err error) bool {
	t.Helper()
	var why, when bool
	for _, d := range status.Convert(err).Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			why = d.GetReason() == "overloaded" && d.GetDomain() == "edgeloop"
		case *errdetails.RetryInfo:
			when = d.GetRetryDelay().AsDuration() >= 5*time.Second
		}
	}
	if why != (status.Code(err) == codes.Unavailable) || why != when {
		t.Errorf("%s: %v, with the reason %t, and when to call again %t", name, err, why, when)
	}
	return why
}

// In each state the calls of its rung and of those below are refused, as those of the REST API
// are, with the reason and when to call again; what has begun goes on, and nobody else
// is refused: a command, above all.
func TestOverload_WhatIsSpared(t *testing.T) {
	from := map[string]overload.State{
		v1.Log_Read_FullMethodName: overload.Strained, v1.Presence_List_FullMethodName: overload.Overloaded, v1.Presence_Watch_FullMethodName: overload.Overloaded,
	}
	for s := range overload.NumStates {
		s := overload.State(s) //nolint:gosec // small
		var ladder overload.Ladder
		log := newFakeLog()
		server, conn := start(t, log, grpcapi.Config{Overload: &ladder})
		before, err := begun(as(t, ownToken), conn)
		if err != nil {
			t.Fatal(err)
		}
		measured := map[overload.State]float64{overload.Busy: 0.8, overload.Strained: 0.9, overload.Overloaded: 1}[s]
		for range 3 {
			ladder.Look(time.Now(), overload.Measurement{overload.Memory: measured})
		}
		log.add("default", "1")
		if m, err := before.Recv(); err != nil || len(m.GetRecords().GetRecords()) != 1 {
			t.Errorf("%s: a reading that had begun gets %v, %v", s, m, err)
		}
		refused := uint64(0)
		for name, call := range everyCall(t, conn) {
			ctx, cancel := context.WithCancel(as(t, ownToken))
			rung, may := from[name]
			got := spared(t, s.String()+" "+name, call(ctx))
			cancel()
			if got != (may && s >= rung) {
				t.Errorf("%s: %s is refused: %t", s, name, got)
			}
			if got {
				refused++
			}
		}
		if n := server.Stats().Refused; n[len(n)-1] != refused {
			t.Errorf("%s: %d calls were refused, counted are %v", s, refused, n)
		}
		counted := uint64(0)
		for _, n := range ladder.Stats().Refused {
			counted += n
		}
		if counted != refused {
			t.Errorf("%s: %d calls were refused, the ladder counts %d", s, refused, counted)
		}
	}
}

// Who may not ask is told so, and not how the node is.
func TestOverload_NothingIsSaidWithoutAToken(t *testing.T) {
	var ladder overload.Ladder
	_, conn := start(t, newFakeLog(), grpcapi.Config{Overload: &ladder})
	for range 3 {
		ladder.Look(time.Now(), overload.Measurement{overload.Memory: 1})
	}
	_, err := v1.NewPresenceClient(conn).List(as(t, "guess"), &v1.ListDevicesRequest{})
	wantCode(t, err, codes.Unauthenticated)
}
