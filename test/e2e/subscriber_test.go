package e2e_test

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	v1 "edgeloop/api/edgeloop/v1"
	service "edgeloop/client"
	"edgeloop/internal/testkit"
)

// grpcNode is a node with gRPC services.
type grpcNode struct {
	*node
	grpc string
}

func startGRPC(t *testing.T, flags ...string) *grpcNode {
	t.Helper()
	n := &grpcNode{grpc: freeAddr(t)}
	n.node = prepare(t, append([]string{"--auth=none", "--drain-window=100ms", "--grpc-listen", n.grpc}, flags...)...)
	n.boot()
	return n
}

// own is the node's own admin token.
func (n *grpcNode) own() string {
	n.t.Helper()
	token, err := os.ReadFile(filepath.Join(n.dir, "admin.token"))
	if err != nil {
		n.t.Fatal(err)
	}
	return strings.TrimSpace(string(token))
}

// newToken makes an admin token and waits until the node takes it.
func (n *grpcNode) newToken(name string, flags ...string) string {
	n.t.Helper()
	token := strings.TrimSpace(n.tool("token", append([]string{"--admin", name}, flags...)...))
	if code, answer := n.api("POST", "/v1/reload", nil); code != 200 {
		n.t.Fatalf("reload: %d %v", code, answer)
	}
	return token
}

func (n *grpcNode) client(token string) *service.Client {
	n.t.Helper()
	c, err := service.New(service.Config{Address: n.grpc, Token: token})
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = c.Close() })
	return c
}

// want insists on the code of a status, and on words in it.
func want(t *testing.T, err error, code codes.Code, words ...string) {
	t.Helper()
	if status.Code(err) != code || !containsAll(err.Error(), words...) {
		t.Errorf("%v, want %s with %q", err, code, words)
	}
}

// subscriber is a service that reads the log.
type subscriber struct {
	t      *testing.T
	client *service.Client
	name   string
	cancel context.CancelFunc
	ended  chan error

	mu    sync.Mutex
	no    error             // what it says instead of taking records
	last  map[string]uint64 // by device
	at    map[string]string // positions, by device and sequence
	twice int
	first *v1.Record
}

func (n *grpcNode) subscribe(name string) *subscriber {
	n.t.Helper()
	return n.subscribeBy(n.own(), name)
}

func (n *grpcNode) subscribeBy(token, name string) *subscriber {
	n.t.Helper()
	s := &subscriber{t: n.t, client: n.client(token), name: name, last: map[string]uint64{}, at: map[string]string{}}
	s.start()
	return s
}

// start begins to read where the node says.
func (s *subscriber) start() {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	s.cancel, s.ended = cancel, ended
	s.t.Cleanup(cancel)
	go func() {
		ended <- s.client.Read(ctx, &v1.Open{Reader: s.name}, func(_ context.Context, records []*v1.Record) error { return s.take(records) })
	}()
}

// refuse has it take nothing and say so, or take what comes.
func (s *subscriber) refuse(no error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.no = no
}

// take insists on the promises: each device's sequences come in order without a hole, and
// what comes twice has the position of the first time.
func (s *subscriber) take(records []*v1.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.no != nil {
		return s.no
	}
	for _, r := range records {
		if s.first == nil {
			s.first = r
		}
		key := r.GetDevice() + " " + strconv.FormatUint(r.GetSeq(), 10)
		before, again := s.at[key]
		switch {
		case again && before != r.GetPosition():
			s.t.Errorf("%s came at %s and at %s", key, before, r.GetPosition())
		case again:
			s.twice++
		case r.GetSeq() != s.last[r.GetDevice()]+1:
			s.t.Errorf("%s: %d came after %d", r.GetDevice(), r.GetSeq(), s.last[r.GetDevice()])
		}
		s.at[key] = r.GetPosition()
		s.last[r.GetDevice()] = max(s.last[r.GetDevice()], r.GetSeq())
	}
	return nil
}

// waitFor waits until all that was acknowledged to devices has come.
func (s *subscriber) waitFor(acked map[string]uint64) {
	s.t.Helper()
	testkit.Eventually(s.t, 2*patience, "all that was acknowledged to come", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		for device, seq := range acked {
			if s.last[device] < seq {
				return false
			}
		}
		return true
	})
}

func (s *subscriber) stop() {
	s.t.Helper()
	s.cancel()
	if err := testkit.Receive(s.t, patience, "the end of the reading", s.ended); err != context.Canceled { //nolint:errorlint // exactly that
		s.t.Errorf("the reading ended with %v", err)
	}
}

// reading is one call, made without the loop of the client package.
func (n *grpcNode) reading(c *service.Client, open *v1.Open) v1.Log_ReadClient {
	n.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	n.t.Cleanup(cancel)
	stream, err := c.Log().Read(ctx)
	if err != nil {
		n.t.Fatal(err)
	}
	if err := stream.Send(&v1.ReadRequest{Request: &v1.ReadRequest_Open{Open: open}}); err != nil {
		n.t.Fatal(err)
	}
	return stream
}

// recv is what comes next, or the end, in time.
func recv[T any](t *testing.T, from func() (T, error)) (T, error) {
	t.Helper()
	type result struct {
		is  T
		err error
	}
	got := make(chan result, 1)
	go func() {
		is, err := from()
		got <- result{is, err}
	}()
	r := testkit.Receive(t, patience, "an answer of the node", got)
	return r.is, r.err
}

// opened waits until a reading is open.
func opened(t *testing.T, stream v1.Log_ReadClient) string {
	t.Helper()
	m, err := recv(t, stream.Recv)
	if err != nil || m.GetOpened() == nil {
		t.Fatalf("%v, %v, want Opened", m, err)
	}
	return m.GetOpened().GetPosition()
}
