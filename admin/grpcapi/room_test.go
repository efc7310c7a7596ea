package grpcapi_test

import (
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"edgeloop/admin/grpcapi"
	v1 "edgeloop/api/edgeloop/v1"
)

// A token that may read makes no places without end: neither by opening readers nor by moving
// them, of one tenant or of many. Those that are there go on, and sinks do not count.
func TestLog_NamesOfReadersAreBounded(t *testing.T) {
	log := newFakeLog()
	s, conn := start(t, log, grpcapi.Config{MaxReaders: 3, MaxTenantReaders: 2})
	open := func(tenant, name string) error {
		stream, err := v1.NewLogClient(conn).Read(as(t, ownToken))
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.Send(&v1.ReadRequest{Request: &v1.ReadRequest_Open{Open: &v1.Open{Tenant: tenant, Reader: name}}}); err != nil {
			t.Fatal(err)
		}
		_, err = stream.Recv()
		return err
	}
	seek := func(tenant, name string) error {
		_, err := v1.NewLogClient(conn).Seek(as(t, ownToken), &v1.SeekRequest{Tenant: tenant, Reader: name, To: &v1.SeekRequest_Start{Start: v1.Start_START_OLDEST}}, grpc.WaitForReady(true))
		return err
	}
	wantCode(t, open("acme", "a"), codes.OK)
	wantCode(t, seek("acme", "b"), codes.OK)
	wantCode(t, open("acme", "c"), codes.ResourceExhausted) // of this tenant
	wantCode(t, open("", "c"), codes.OK)
	wantCode(t, open("other", "d"), codes.ResourceExhausted) // of all
	wantCode(t, seek("other", "d"), codes.ResourceExhausted)
	wantCode(t, seek("acme", "a"), codes.OK)
	wantCode(t, open("acme", "b"), codes.OK)
	if names, _ := log.Names(t.Context()); len(names) != 3+1 {
		t.Errorf("there are %v", names)
	}
	for r, n := range s.Stats().Refused {
		if want := map[string]uint64{"too-many-readers": 3}[grpcapi.Refused(r).String()]; n != want {
			t.Errorf("%s is counted %d times, want %d", grpcapi.Refused(r), n, want)
		}
	}
}
