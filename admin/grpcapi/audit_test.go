package grpcapi_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"edgeloop/admin/access"
	"edgeloop/admin/grpcapi"
	v1 "edgeloop/api/edgeloop/v1"
	"edgeloop/internal/testkit"
)

// asked is what is sent to each method that changes something, and what the audit says of it
// beside who and how it ended. A method that is not here is one that changes nothing.
var asked = map[string]struct {
	request proto.Message
	says    map[string]any
}{
	v1.Log_Read_FullMethodName: {
		&v1.ReadRequest{Request: &v1.ReadRequest_Open{Open: &v1.Open{Reader: "lake", Tenant: "acme"}}},
		map[string]any{"change": "open reader", "reader": "lake", "tenant": "acme"},
	},
	v1.Log_Seek_FullMethodName: {
		&v1.SeekRequest{Reader: "lake", Tenant: "acme", To: &v1.SeekRequest_Behind{Behind: "log-7"}},
		map[string]any{"change": "seek", "reader": "lake", "tenant": "acme", "to": "log-7"},
	},
	v1.Commands_Send_FullMethodName: {
		&v1.SendRequest{Tenant: "acme", Device: "d1", Name: "reboot"},
		map[string]any{"change": "command", "device": "d1", "tenant": "acme", "command": "reboot"},
	},
	v1.Commands_Cancel_FullMethodName: {
		&v1.CancelRequest{Tenant: "acme", Device: "d1", What: &v1.CancelRequest_Id{Id: "c1"}},
		map[string]any{"change": "cancel", "device": "d1", "tenant": "acme", "command_id": "c1"},
	},
}

// try sends one request to a method, and returns how the call ends; a stream is given up.
func try(t *testing.T, conn *grpc.ClientConn, token, method string, request proto.Message) error {
	t.Helper()
	stream, err := conn.NewStream(as(t, token), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method)
	if err != nil {
		t.Fatal(err)
	}
	if request == nil {
		request = new(emptypb.Empty)
	}
	_ = stream.SendMsg(request) // it may have been refused before
	_ = stream.CloseSend()
	for err == nil {
		err = stream.RecvMsg(new(emptypb.Empty))
	}
	return err
}

// TestAudit_EveryMethod: each call of a method that changes something, allowed or refused to somebody
// who is known, is one line with who, what and the outcome; what only reads is none, nor is what
// strangers try.
func TestAudit_EveryMethod(t *testing.T) {
	core, lines := observer.New(zap.InfoLevel)
	roster := new(access.Roster)
	if err := roster.Set(access.Own("own", ownToken), access.Principal{Name: "scraper", Hash: access.HashOf(otherToken), Scopes: 1 << access.Metrics}); err != nil {
		t.Fatal(err)
	}
	_, conn := start(t, newFakeLog(), grpcapi.Config{Audit: zap.New(core), Roster: roster})
	for _, method := range grpcapi.Methods() {
		a, changes := asked[method]
		for name, token := range map[string]string{"own": ownToken, "scraper": otherToken, "": "0123456789abcdef-nobody"} {
			if !changes && name == "own" && strings.HasSuffix(method, "Watch") {
				continue // it goes on for ever
			}
			err := try(t, conn, token, method, a.request)
			want := 0
			if changes && name != "" {
				want = 1
			}
			var got []observer.LoggedEntry
			testkit.Eventually(t, patience, method+" by "+name+" to be in the audit", func() bool {
				got = append(got, lines.TakeAll()...)
				return len(got) >= want
			})
			if len(got) != want {
				t.Errorf("%s by %q: %v", method, name, got)
			}
			for _, line := range got {
				fields, code := line.ContextMap(), status.Code(err)
				if code == codes.Unknown { // io.EOF: the call has ended well
					code = codes.OK
				}
				if fields["principal"] != name || fields["method"] != method || fields["code"] != code.String() || !strings.HasPrefix(fields["remote"].(string), "127.0.0.1:") {
					t.Errorf("%s by %s: %v, and the line says %v", method, name, err, fields)
				}
				for key, value := range a.says {
					if name == "own" && fields[key] != value {
						t.Errorf("%s: %s is %v, want %v", method, key, fields[key], value)
					}
				}
			}
		}
	}
	are, have := grpcapi.Changes(), slices.Collect(maps.Keys(asked))
	slices.Sort(are)
	slices.Sort(have)
	if !slices.Equal(are, have) {
		t.Errorf("the table has %v, this test %v", are, have)
	}
}

// TestAudit_Acknowledged: when a reading has ended the audit says how far its place was moved.
func TestAudit_Acknowledged(t *testing.T) {
	core, lines := observer.New(zap.InfoLevel)
	log := newFakeLog()
	_, conn := start(t, log, grpcapi.Config{Audit: zap.New(core)})
	for range 3 {
		log.add("acme", "1")
	}
	stream := read(t, conn, ownToken, &v1.Open{Reader: "lake", Tenant: "acme"})
	ack(t, stream, records(t, stream, 3)[1].GetPosition())
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	for err := error(nil); err == nil; {
		_, err = stream.Recv()
	}
	var said []string
	testkit.Eventually(t, patience, "the audit's two lines", func() bool {
		said = nil
		for _, line := range lines.All() {
			fields := line.ContextMap()
			said = append(said, fields["change"].(string))
			if fields["change"] == "acknowledge" && (fields["from"] != "log-0" || fields["to"] != "log-2" || fields["reader"] != "lake" || fields["principal"] != "own") {
				t.Errorf("the line says %v", fields)
			}
		}
		return len(said) >= 2
	})
	if !slices.Equal(said, []string{"open reader", "acknowledge"}) {
		t.Errorf("the audit has %q", said)
	}
}
