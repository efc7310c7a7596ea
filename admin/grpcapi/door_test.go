package grpcapi_test

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"edgeloop/admin/grpcapi"
	v1 "edgeloop/api/edgeloop/v1"
	"edgeloop/internal/testkit"
)

// gone says whether the server has closed a connection.
func gone(c net.Conn) bool {
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	_, err := io.Copy(io.Discard, c)
	var timeout net.Error
	return err == nil || !errors.As(err, &timeout) || !timeout.Timeout()
}

// Who shows no token has few calls on a connection, few bytes, and few connections; a token
// that is shown from the same address pays for all that came.
func TestDoor_StrangersHaveLittle(t *testing.T) {
	s, good := start(t, newFakeLog(), grpcapi.Config{})
	refused := func() (n uint64) {
		for r, count := range s.Stats().Refused {
			if grpcapi.Refused(r).String() == "too-many-connections" {
				n = count
			}
		}
		return n
	}
	stranger, err := grpc.NewClient(s.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stranger.Close() })
	for calls := 0; refused() == 0; calls++ {
		if _, err := v1.NewPresenceClient(stranger).List(as(t, "guess"), &v1.ListDevicesRequest{}); status.Code(err) == codes.OK || calls > 16 {
			t.Fatalf("call %d: %v", calls, err)
		}
	}
	flood, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer flood.Close()
	settings := []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	for range 40_000 { // 360 KB
		settings = append(settings, 0, 0, 0, 4, 0, 0, 0, 0, 0)
	}
	go func() { _, _ = flood.Write(settings) }()
	testkit.Eventually(t, time.Minute, "the flood to be cut off", func() bool { return refused() >= 2 })

	var all []net.Conn
	for range 40 {
		c, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		all = append(all, c)
	}
	testkit.Eventually(t, time.Minute, "the last one to be turned away", func() bool { return gone(all[len(all)-1]) })
	if gone(all[0]) {
		t.Error("the first one was turned away")
	}
	wantCode(t, listed(t, good), codes.OK)
}

// listed asks for the devices with a good token.
func listed(t *testing.T, conn grpc.ClientConnInterface) error {
	t.Helper()
	_, err := v1.NewPresenceClient(conn).List(as(t, ownToken), &v1.ListDevicesRequest{}, grpc.WaitForReady(true))
	return err
}
