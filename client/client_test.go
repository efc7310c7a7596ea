package client_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	v1 "edgeloop/api/edgeloop/v1"
	"edgeloop/client"
	"edgeloop/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Leaks(m) }

// fakeLog gives two records behind its place in each call, and ends the call when the second
// is acknowledged, with what end says of that call.
type fakeLog struct {
	v1.UnimplementedLogServer

	end []error

	mu    sync.Mutex
	calls int
	acked []string
	token []string
}

func (f *fakeLog) Read(stream v1.Log_ReadServer) error {
	md, _ := metadata.FromIncomingContext(stream.Context())
	f.mu.Lock()
	end, first := f.end[min(f.calls, len(f.end)-1)], 2*f.calls+1
	f.calls++
	f.token = md.Get("authorization")
	f.mu.Unlock()
	if m, err := stream.Recv(); err != nil || m.GetOpen().GetReader() != "lake" {
		return status.Errorf(codes.InvalidArgument, "%v, %v", m, err)
	}
	if err := stream.Send(&v1.ReadResponse{Response: &v1.ReadResponse_Opened{Opened: &v1.Opened{}}}); err != nil {
		return err
	}
	for n := first; n < first+2; n++ {
		r := &v1.Record{Position: "log-" + strconv.Itoa(n)}
		if err := stream.Send(&v1.ReadResponse{Response: &v1.ReadResponse_Records{Records: &v1.Records{Records: []*v1.Record{r}}}}); err != nil {
			return err
		}
		m, err := stream.Recv()
		if err != nil {
			return nil //nolint:nilerr // the client is done
		}
		f.mu.Lock()
		f.acked = append(f.acked, m.GetAck().GetPosition())
		f.mu.Unlock()
	}
	return end
}

func serve(t *testing.T, f *fakeLog) *client.Client {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	v1.RegisterLogServer(s, f)
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ln) }()
	c, err := client.New(client.Config{Address: ln.Addr().String(), Token: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Close()
		s.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return c
}

// Read calls again where that may help, goes on by itself, acknowledges what the function has
// returned from, and ends with what calling again does not mend.
func TestRead_CallsAgain(t *testing.T) {
	f := &fakeLog{end: []error{status.Error(codes.Unavailable, "stops"), status.Error(codes.Internal, "fails"), status.Error(codes.Aborted, "taken")}}
	c := serve(t, f)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var got []string
	err := c.Read(ctx, &v1.Open{Reader: "lake"}, func(_ context.Context, records []*v1.Record) error {
		for _, r := range records {
			got = append(got, r.GetPosition())
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		if slices.Contains(f.acked, got[len(got)-1]) {
			t.Errorf("%s was acknowledged before the function had it", got[len(got)-1])
		}
		return nil
	})
	if status.Code(err) != codes.Aborted {
		t.Errorf("ended with %v", err)
	}
	want := []string{"log-1", "log-2", "log-3", "log-4", "log-5", "log-6"}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.Equal(got, want) || !slices.Equal(f.acked, want) || f.calls != 3 || !slices.Equal(f.token, []string{"Bearer secret"}) {
		t.Errorf("got %v, acknowledged %v in %d calls by %v", got, f.acked, f.calls, f.token)
	}
}

// What the function cannot do is not acknowledged, and its error is what Read returns.
func TestRead_ErrorOfTheFunction(t *testing.T) {
	f := &fakeLog{end: []error{nil}}
	c := serve(t, f)
	full := errors.New("the disk is full")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err := c.Read(ctx, &v1.Open{Reader: "lake"}, func(_ context.Context, records []*v1.Record) error {
		if records[0].GetPosition() == "log-2" {
			return full
		}
		return nil
	})
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != full || !slices.Equal(f.acked, []string{"log-1"}) { //nolint:errorlint // as it was
		t.Errorf("%v, acknowledged %v", err, f.acked)
	}
}
