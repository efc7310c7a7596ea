package grpcapi_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"edgeloop/admin/access"
	"edgeloop/admin/admintest"
	"edgeloop/admin/grpcapi"
	v1 "edgeloop/api/edgeloop/v1"
	"edgeloop/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Leaks(m) }

const patience = time.Minute

const (
	ownToken   = "0123456789abcdef-own"
	otherToken = "0123456789abcdef-other"
)

// start runs a server over a log until the test ends.
func start(t *testing.T, log *fakeLog, cfg grpcapi.Config) (*grpcapi.Server, *grpc.ClientConn) {
	t.Helper()
	if cfg.Roster == nil {
		cfg.Roster = new(access.Roster)
		if err := cfg.Roster.Set(access.Own("own", ownToken), access.Own("other", otherToken)); err != nil {
			t.Fatal(err)
		}
	}
	cfg.Listen = "127.0.0.1:0"
	s, err := grpcapi.New(t.Context(), cfg, grpcapi.Node{
		Devices: &admintest.Devices{}, Commands: &admintest.Commands{}, Readers: log, Presence: &fakePresence{},
	})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient(s.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return s, conn
}

// as is the context of calls with a token.
func as(t *testing.T, token string) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
}

func wantCode(t *testing.T, err error, want codes.Code) {
	t.Helper()
	if status.Code(err) != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// Each method that the server has says who may call it, and none is in the table that is
// not there.
func TestMethods_EachHasARow(t *testing.T) {
	s, _ := start(t, newFakeLog(), grpcapi.Config{})
	are, have := grpcapi.Services(s), grpcapi.Methods()
	slices.Sort(are)
	slices.Sort(have)
	if !slices.Equal(are, have) {
		t.Errorf("the server has %v, the table %v", are, have)
	}
}

// A client without a token learns nothing of what there is; reflection and unknown methods are
// for those who show one.
func TestAdmit_NothingIsSaidWithoutAToken(t *testing.T) {
	_, conn := start(t, newFakeLog(), grpcapi.Config{})
	for method := range map[string]bool{"/a.B/C": true, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo": true, "/edgeloop.v1.Log/Read": true} {
		for token, want := range map[string]codes.Code{"": codes.Unauthenticated, "short": codes.Unauthenticated, ownToken: codes.Unimplemented} {
			ctx, cancel := context.WithCancel(as(t, token))
			stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method)
			if err != nil {
				t.Fatal(err)
			}
			if known := token == ownToken && method != "/a.B/C"; !known {
				wantCode(t, stream.RecvMsg(&struct{}{}), want)
			}
			cancel()
		}
	}
}

// A call is refused by its header alone: the request, which may be large, is not read of who
// may not ask.
func TestAdmit_RefusesBeforeTheRequestIsRead(t *testing.T) {
	_, conn := start(t, newFakeLog(), grpcapi.Config{})
	for method := range v1.Commands_ServiceDesc.Methods {
		name := "/edgeloop.v1.Commands/" + v1.Commands_ServiceDesc.Methods[method].MethodName
		stream, err := conn.NewStream(as(t, "0123456789abcdef-nobody"), &grpc.StreamDesc{ClientStreams: true}, name)
		if err != nil {
			t.Fatal(err)
		}
		wantCode(t, stream.RecvMsg(new(v1.SendResponse)), codes.Unauthenticated) // nothing was sent
	}
}
