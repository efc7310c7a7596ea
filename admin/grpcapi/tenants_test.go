package grpcapi_test

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"edgeloop/admin/access"
	"edgeloop/admin/grpcapi"
	v1 "edgeloop/api/edgeloop/v1"
)

// TestTenants_EveryMethod: a token of one tenant is refused by each method that it asks for another
// one, with the same words whatever there is of that tenant. A method without a row fails the test.
func TestTenants_EveryMethod(t *testing.T) {
	of := func(tenant string) map[string]proto.Message {
		return map[string]proto.Message{
			v1.Log_Read_FullMethodName:        &v1.ReadRequest{Request: &v1.ReadRequest_Open{Open: &v1.Open{Reader: "lake", Tenant: tenant}}},
			v1.Log_Seek_FullMethodName:        &v1.SeekRequest{Reader: "lake", Tenant: tenant, To: &v1.SeekRequest_Start{Start: v1.Start_START_OLDEST}},
			v1.Commands_Send_FullMethodName:   &v1.SendRequest{Tenant: tenant, Device: "d1", Name: "reboot"},
			v1.Commands_List_FullMethodName:   &v1.ListCommandsRequest{Tenant: tenant, Device: "d1"},
			v1.Commands_Cancel_FullMethodName: &v1.CancelRequest{Tenant: tenant, Device: "d1", What: &v1.CancelRequest_All{All: true}},
			v1.Presence_List_FullMethodName:   &v1.ListDevicesRequest{Tenant: tenant},
			v1.Presence_Watch_FullMethodName:  &v1.WatchRequest{Tenant: tenant},
		}
	}
	roster := new(access.Roster)
	if err := roster.Set(access.Principal{Name: "bound", Hash: access.HashOf(ownToken), Scopes: access.AllScopes, Tenant: "acme"}); err != nil {
		t.Fatal(err)
	}
	log := newFakeLog()
	log.add("globex", `"secret"`)
	_, conn := start(t, log, grpcapi.Config{Roster: roster})
	some, none := of("globex"), of("nobody")
	for _, method := range grpcapi.Methods() {
		if strings.HasPrefix(method, "/grpc.reflection.") {
			continue // it tells what there is to call, and nothing of tenants
		}
		if some[method] == nil {
			t.Errorf("%s: this test does not ask it", method)
			continue
		}
		err := try(t, conn, ownToken, method, some[method])
		wantCode(t, err, codes.PermissionDenied)
		if other := try(t, conn, ownToken, method, none[method]); other.Error() != err.Error() {
			t.Errorf("%s: %v, and where nobody is: %v", method, err, other)
		}
	}
	if n := log.given(); n != 0 || len(log.readers) != 0 {
		t.Errorf("%d records were read for it, by %v", n, log.readers)
	}
}
