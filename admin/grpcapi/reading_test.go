package grpcapi_test

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"edgeloop/admin/grpcapi"
	v1 "edgeloop/api/edgeloop/v1"
	"edgeloop/internal/testkit"
)

// read opens a reader, and returns when it is open.
func read(t *testing.T, conn *grpc.ClientConn, token string, open *v1.Open) v1.Log_ReadClient {
	t.Helper()
	stream, err := v1.NewLogClient(conn).Read(as(t, token))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&v1.ReadRequest{Request: &v1.ReadRequest_Open{Open: open}}); err != nil {
		t.Fatal(err)
	}
	if m, err := stream.Recv(); err != nil || m.GetOpened() == nil {
		t.Fatalf("%v, %v, want Opened", m, err)
	}
	return stream
}

// records are the next n.
func records(t *testing.T, stream v1.Log_ReadClient, n int) (all []*v1.Record) {
	t.Helper()
	for len(all) < n {
		m, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m.GetRecords().GetRecords()...)
	}
	return all
}

func ack(t *testing.T, stream v1.Log_ReadClient, position string) {
	t.Helper()
	if err := stream.Send(&v1.ReadRequest{Request: &v1.ReadRequest_Ack{Ack: &v1.Ack{Position: position}}}); err != nil {
		t.Fatal(err)
	}
}

const placeOfLake = "service:acme/lake"

// A reading stops reading the log when its client does not read, and goes on with the same
// records when it does; one record that is larger than the outbox comes too.
func TestReading_StopsWithItsClient(t *testing.T) {
	log := newFakeLog()
	_, conn := start(t, log, grpcapi.Config{Outbox: 4 << 10})
	const count, size = 2000, 1000
	big := `"` + strings.Repeat("b", 64<<10) + `"`
	for i := range count {
		if i == 3 {
			log.add("acme", big)
			continue
		}
		log.add("acme", `"`+strings.Repeat("x", size)+`"`)
	}
	stream := read(t, conn, ownToken, &v1.Open{Reader: "lake"})
	last, since := -1, time.Now()
	testkit.Eventually(t, patience, "the reading to stop", func() bool {
		if now := log.given(); now != last {
			last, since = now, time.Now()
		}
		return time.Since(since) > 200*time.Millisecond
	})
	// A window and what is on its way to it hold some hundred.
	if last > count/2 {
		t.Errorf("%d records of %d were read for a client that takes none", last, count)
	}
	for i, r := range records(t, stream, count) {
		if r.GetSeq() != uint64(i+1) {
			t.Fatalf("%d came as number %d", r.GetSeq(), i+1)
		}
		if i == 3 && string(r.GetPayload()) != big {
			t.Errorf("the large record has %d bytes", len(r.GetPayload()))
		}
	}
}

// The place moves by what the client acknowledges and by nothing else: not by what it was
// sent, and not over records of others while it has not acknowledged those before.
func TestReading_PlaceMovesByAcknowledgement(t *testing.T) {
	log := newFakeLog()
	_, conn := start(t, log, grpcapi.Config{})
	stream := read(t, conn, ownToken, &v1.Open{Reader: "lake", Tenant: "acme"})
	for _, tenant := range []string{"acme", "acme", "beta", "beta"} {
		log.add(tenant, "1")
	}
	got := records(t, stream, 2)
	ack(t, stream, got[0].GetPosition())
	if m, err := stream.Recv(); err != nil || m.GetAcked().GetPosition() != "log-1" {
		t.Errorf("%v, %v, want it to be acked", m, err)
	}
	began := time.Now()
	testkit.Eventually(t, patience, "the node to have had time to move the place", func() bool { return time.Since(began) > 1500*time.Millisecond })
	if at := log.placeOf(placeOfLake); at != 1 {
		t.Errorf("the place is %d, 1 was acknowledged", at)
	}
	ack(t, stream, got[1].GetPosition())
	testkit.Eventually(t, patience, "the place to move over what others have", func() bool { return log.placeOf(placeOfLake) == 4 })
}

// A reading that ends in good order has its last acknowledgement kept, also one that came
// while the one before was being kept.
func TestReading_LastAcknowledgementIsKept(t *testing.T) {
	log := newFakeLog()
	log.hold, log.begun = make(chan struct{}), make(chan struct{}, 100)
	_, conn := start(t, log, grpcapi.Config{})
	for range 100 {
		log.add("acme", "1")
	}
	for i := range 10 {
		name := "lake" + strconv.Itoa(i)
		stream := read(t, conn, ownToken, &v1.Open{Reader: name, Tenant: "acme"})
		got := records(t, stream, 100)
		ack(t, stream, got[0].GetPosition())
		testkit.Receive(t, patience, "the first to be kept", log.begun)
		ack(t, stream, got[99].GetPosition())
		if err := stream.CloseSend(); err != nil {
			t.Fatal(err)
		}
		// The answer comes when the node has heard what was sent before.
		if _, err := v1.NewPresenceClient(conn).List(as(t, ownToken), &v1.ListDevicesRequest{}); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			for {
				select {
				case log.hold <- struct{}{}:
				case <-ended:
					return
				}
			}
		}()
		for err := error(nil); err == nil; {
			_, err = stream.Recv()
		}
		close(ended)
		for len(log.begun) > 0 {
			<-log.begun
		}
		if at := log.placeOf("service:acme/" + name); at != 100 {
			t.Fatalf("the place is %d, 100 was acknowledged", at)
		}
	}
}

// Records that retention took are told with the next one that the reader gets, and so is one
// that cannot be read.
func TestReading_MissedIsTold(t *testing.T) {
	log := newFakeLog()
	_, conn := start(t, log, grpcapi.Config{})
	stream := read(t, conn, ownToken, &v1.Open{Reader: "lake", Tenant: "acme"})
	log.missed[1] = 7
	log.add("beta", "1")
	log.add("acme", "{broken")
	log.add("acme", "1")
	log.add("acme", "2")
	got := records(t, stream, 2)
	if got[0].GetMissed() != 8 || got[1].GetMissed() != 0 {
		t.Errorf("missed %d and %d, want 8 and 0", got[0].GetMissed(), got[1].GetMissed())
	}
}

// A reader that was opened on another node is noticed without an acknowledgement.
func TestReading_NoticesAnotherNode(t *testing.T) {
	log := newFakeLog()
	_, conn := start(t, log, grpcapi.Config{LookEvery: 10 * time.Millisecond})
	stream := read(t, conn, ownToken, &v1.Open{Reader: "lake", Tenant: "acme"})
	log.steal(placeOfLake)
	_, err := stream.Recv()
	wantCode(t, err, codes.Aborted)
}

// One token has so many streams and leaves the rest to others; a client that gets none is told when to
// come back; a stream that ends leaves its place.
func TestAdmit_StreamsOfAToken(t *testing.T) {
	s, conn := start(t, newFakeLog(), grpcapi.Config{MaxStreams: 3, MaxTokenStreams: 2})
	for i := range 2 {
		read(t, conn, ownToken, &v1.Open{Reader: "r" + strconv.Itoa(i)})
	}
	watch := func(token string) (context.CancelFunc, error) {
		ctx, cancel := context.WithCancel(as(t, token))
		stream, err := v1.NewPresenceClient(conn).Watch(ctx, &v1.WatchRequest{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = stream.Recv()
		return cancel, err
	}
	cancel, err := watch(ownToken)
	cancel()
	wantCode(t, err, codes.ResourceExhausted)
	retry := false
	for _, d := range status.Convert(err).Details() {
		_, is := d.(*errdetails.RetryInfo)
		retry = retry || is
	}
	if !retry {
		t.Errorf("%v does not say when to come back", err)
	}
	third, err := watch(otherToken)
	wantCode(t, err, codes.OK)
	cancel, err = watch(otherToken) // the last place of all is taken
	cancel()
	wantCode(t, err, codes.ResourceExhausted)
	third()
	testkit.Eventually(t, patience, "the place to be free", func() bool { return s.Stats().Streams == 2 })
	testkit.Eventually(t, patience, "two to be counted as refused", func() bool { return s.Stats().Refused[2] == 2 })
	if name := grpcapi.Refused(2).String(); name != "too-many-streams" {
		t.Errorf("that is %s", name)
	}
}
