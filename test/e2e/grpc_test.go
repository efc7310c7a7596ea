package e2e_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	v1 "edgeloop/api/edgeloop/v1"
	service "edgeloop/client"
	"edgeloop/internal/testkit"
)

// A service reads while devices stream, and the node is killed twice in mid-stream: nothing
// that was acknowledged to devices is missing, each device's order is kept, and what comes
// twice can be told by its position. What the service has acknowledged does not come again
// after the node starts anew, to whoever reads under the name.
func TestGRPC_KillInMidStream(t *testing.T) {
	t.Parallel()
	const devices, messages = 10, 300
	n := startGRPC(t)
	s := n.subscribe("lake")
	f := launch(t, n.node, devices, messages, nil)
	for kills := uint64(1); kills <= 2; kills++ {
		f.waitAcked(patience, kills*devices*messages/3)
		n.kill()
		n.boot()
	}
	f.waitAcked(2*patience, devices*messages)
	_, acked := f.acked()
	s.waitFor(acked)
	n.wantMetric("edgeloop_grpc_reader_lag_records", `reader="lake"`, 0) // it waits two seconds for that by itself
	s.stop()
	n.stop()
	n.boot()
	d := upgradeRaw(t, n.node, "?device=late", "")
	d.say(frame(fin|opText, `{"type":"telemetry","seq":1,"data":{"c":21.5}}`))
	d.wantText("ack")
	again := n.subscribe("lake")
	again.waitFor(map[string]uint64{"late": 1})
	again.mu.Lock()
	defer again.mu.Unlock()
	if r := again.first; r.GetDevice() != "late" || string(r.GetPayload()) != `{"c":21.5}` || r.GetContentType() != "application/json" || r.GetReceivedAt() == 0 || r.GetTenant() != "default" || r.GetEpoch() == 0 {
		t.Errorf("the first record after the restart is %v, want that of late: %d came twice", r, again.twice)
	}
}

// One name has one reader: who opens it later has it, also by the end of what the earlier
// one acknowledged; Seek takes it from both. The same name in another tenant is another
// reader.
func TestGRPC_OneReaderOfAName(t *testing.T) {
	t.Parallel()
	n := startGRPC(t)
	c := n.client(n.own())
	first := n.reading(c, &v1.Open{Reader: "lake"})
	begin := opened(t, first)
	d := upgradeRaw(t, n.node, "?device=d1", "")
	other := n.reading(c, &v1.Open{Reader: "lake", Tenant: "acme"})
	opened(t, other)
	second := n.reading(c, &v1.Open{Reader: "lake"})
	opened(t, second)
	_, err := recv(t, first.Recv)
	want(t, err, codes.Aborted, "another call has opened this reader", "of its own")
	d.say(frame(fin|opText, `{"type":"telemetry","seq":1,"data":1}`))
	d.wantText("ack")
	d.Close()
	m, err := recv(t, second.Recv)
	if err != nil || len(m.GetRecords().GetRecords()) != 1 {
		t.Fatalf("%v, %v, want the record", m, err)
	}
	if _, err := c.Log().Seek(context.Background(), &v1.SeekRequest{Reader: "lake", To: &v1.SeekRequest_Behind{Behind: begin}}); err != nil {
		t.Fatal(err)
	}
	_, err = recv(t, second.Recv)
	want(t, err, codes.Aborted)
	third := n.reading(c, &v1.Open{Reader: "lake"})
	if at := opened(t, third); at != begin {
		t.Errorf("the reader begins behind %s, it was moved behind %s", at, begin)
	}
	if err := third.Send(&v1.ReadRequest{Request: &v1.ReadRequest_Ack{Ack: &v1.Ack{Position: begin + "9"}}}); err != nil {
		t.Fatal(err)
	}
	for err = nil; err == nil; {
		_, err = recv(t, third.Recv)
	}
	want(t, err, codes.InvalidArgument, "was not given by this call")
	n.stop()
	_, err = recv(t, other.Recv)
	want(t, err, codes.Unavailable, "the node stops")
}

// An operator sees how far a reader is behind, and forgets it: its call ends, and the next one
// begins anew. A reader of another tenant, with the same name, goes on.
func TestGRPC_ForgottenReader(t *testing.T) {
	t.Parallel()
	n := startGRPC(t)
	c := n.client(n.own())
	first := n.reading(c, &v1.Open{Reader: "lake"})
	begin := opened(t, first)
	other := n.reading(c, &v1.Open{Reader: "lake", Tenant: "acme"})
	opened(t, other)
	d := upgradeRaw(t, n.node, "?device=d1", "")
	d.say(frame(fin|opText, `{"type":"telemetry","seq":1,"data":1}`))
	d.wantText("ack")
	m, err := recv(t, first.Recv)
	if err != nil {
		t.Fatal(err)
	}
	at := m.GetRecords().GetRecords()[0].GetPosition()
	if err := first.Send(&v1.ReadRequest{Request: &v1.ReadRequest_Ack{Ack: &v1.Ack{Position: at}}}); err != nil {
		t.Fatal(err)
	}
	if m, err := recv(t, first.Recv); err != nil || m.GetAcked().GetPosition() != at {
		t.Fatalf("%v, %v, want it kept", m, err)
	}
	d.say(frame(fin|opText, `{"type":"telemetry","seq":2,"data":2}`))
	d.wantText("ack")
	d.Close()
	testkit.Eventually(t, patience, "the reader to be listed one record behind", func() bool {
		var is []string
		for line := range strings.Lines(n.tool("readers")) {
			is = append(is, strings.Join(strings.Fields(line), " "))
		}
		return slices.Contains(is, "- lake grpc 1 0 - "+at) && len(is) == 3
	})
	n.wantMetric("edgeloop_grpc_reader_lag_records", `reader="lake"`, 1)
	n.tool("readers", "forget", "lake")
	for err = nil; err == nil; {
		_, err = recv(t, first.Recv)
	}
	want(t, err, codes.Aborted)
	if now := opened(t, n.reading(c, &v1.Open{Reader: "lake"})); now != begin {
		t.Errorf("the next call begins behind %s, want %s", now, begin)
	}
	if out := n.tool("readers", "--tenant=acme"); !containsAll(out, "acme", "lake") {
		t.Errorf("readers of acme: %s", out)
	}
	if status, _ := n.api("DELETE", "/v1/readers/nobody", nil); status != 404 {
		t.Errorf("a reader that is none: %d", status)
	}
	n.stop()
}

// A client that does not read holds up neither devices nor other readers, and not the stop
// of the node either; once it reads it gets what they got.
func TestGRPC_SlowClientHoldsUpNobody(t *testing.T) {
	t.Parallel()
	const devices, messages = 4, 150
	n := startGRPC(t)
	stuck := n.reading(n.client(n.own()), &v1.Open{Reader: "stuck"})
	opened(t, stuck)
	opened(t, n.reading(n.client(n.own()), &v1.Open{Reader: "stuck-for-good"}))
	s := n.subscribe("quick")
	// Several times what sockets and buffers on the way may hold.
	f := launch(t, n.node, devices, messages, func(s *streamer) { s.size = 60_000 })
	f.waitAcked(2*patience, devices*messages)
	_, acked := f.acked()
	s.waitFor(acked)
	late := &subscriber{t: t, last: map[string]uint64{}, at: map[string]string{}}
	for count := 0; count < devices*messages; {
		m, err := recv(t, stuck.Recv)
		if err != nil {
			t.Fatal(err)
		}
		records := m.GetRecords().GetRecords()
		count += len(records)
		if err := late.take(records); err != nil {
			t.Fatal(err)
		}
		if len(records) == 0 { // the place is kept
			continue
		}
		at := records[len(records)-1].GetPosition()
		if err := stuck.Send(&v1.ReadRequest{Request: &v1.ReadRequest_Ack{Ack: &v1.Ack{Position: at}}}); err != nil {
			t.Fatal(err)
		}
	}
	late.waitFor(acked)
	n.stop()
}

// Each call needs a token of the scope and tenant that it is for; a client without one is not
// told what there is. What a token may do ends with the token.
func TestGRPC_WhoMay(t *testing.T) {
	t.Parallel()
	n := startGRPC(t)
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	metrics, acme := n.newToken("m", "--scope=metrics"), n.newToken("a", "--scope=read", "--tenant=acme")
	for name, token := range map[string]string{"acme": "acme", "beta": "beta"} {
		d := upgradeRaw(t, n.node, "?device=d-"+token+"&tenant="+name, "")
		d.say(frame(fin|opText, `{"type":"telemetry","seq":1,"data":1}`))
		d.wantText("ack")
		defer d.Close()
	}

	_, err := n.client("not-a-token-of-anybody").Presence().List(ctx, &v1.ListDevicesRequest{})
	want(t, err, codes.Unauthenticated, "authorization: Bearer TOKEN")
	_, err = n.client(metrics).Presence().List(ctx, &v1.ListDevicesRequest{})
	want(t, err, codes.PermissionDenied, "needs the scope read", "m has metrics")
	bound := n.client(acme)
	_, err = bound.Commands().Send(ctx, &v1.SendRequest{Device: "d1", Name: "x"})
	want(t, err, codes.PermissionDenied, "needs the scope command")
	_, err = bound.Presence().List(ctx, &v1.ListDevicesRequest{Tenant: "beta"})
	want(t, err, codes.PermissionDenied, "bound to the tenant acme")
	_, err = recv(t, n.reading(bound, &v1.Open{Reader: "r", Tenant: "beta"}).Recv)
	want(t, err, codes.PermissionDenied, "bound to the tenant acme")
	page, err := bound.Presence().List(ctx, &v1.ListDevicesRequest{})
	if err != nil || len(page.GetDevices()) != 1 || page.GetDevices()[0].GetTenant() != "acme" {
		t.Errorf("%v, %v, want the device of acme", page, err)
	}
	r := n.reading(bound, &v1.Open{Reader: "r"})
	opened(t, r)
	m, err := recv(t, r.Recv)
	if got := m.GetRecords().GetRecords(); err != nil || len(got) != 1 || got[0].GetTenant() != "acme" {
		t.Errorf("%v, %v, want the record of acme alone", m, err)
	}
	if err := os.WriteFile(filepath.Join(n.dir, "admin.tokens"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, answer := n.api("POST", "/v1/reload", nil); code != 200 {
		t.Fatalf("reload: %d %v", code, answer)
	}
	_, err = recv(t, r.Recv)
	want(t, err, codes.Unauthenticated, "no longer valid")
}

// With a certificate the services speak TLS and nothing else, by the certificate that the
// file has at the last reload; and without one they are not shown to a network.
func TestGRPC_TLS(t *testing.T) {
	t.Parallel()
	ca := testkit.NewAuthority(t)
	cert, key := ca.Issue("node", nil)
	n := startGRPC(t, "--grpc-cert", cert, "--grpc-key", key)
	c, err := service.New(service.Config{Address: n.grpc, Token: n.own(), TLS: &tls.Config{RootCAs: ca.Pool()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	if _, err := c.Presence().List(ctx, &v1.ListDevicesRequest{}); err != nil {
		t.Error(err)
	}
	_, err = n.client(n.own()).Presence().List(ctx, &v1.ListDevicesRequest{})
	want(t, err, codes.Unavailable)
	newCert, newKey := ca.Issue("renewed", nil)
	for from, to := range map[string]string{newCert: cert, newKey: key} {
		b, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if code, answer := n.api("POST", "/v1/reload", nil); code != 200 {
		t.Fatalf("reload: %d %v", code, answer)
	}
	conn, err := tls.Dial("tcp", n.grpc, &tls.Config{RootCAs: ca.Pool(), NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	if is := conn.ConnectionState().PeerCertificates[0].Subject.CommonName; is != "renewed" {
		t.Errorf("after the reload the certificate is that of %s", is)
	}
	conn.Close()
	n.stop()
	_, errs, code := runTool(t, "serve", "--data-dir", n.dir, "--grpc-listen=0.0.0.0:0")
	if code != 2 || !containsAll(errs, "--grpc-listen=0.0.0.0:0 can be reached from outside", "--grpc-cert") {
		t.Errorf("exit code %d, %s", code, errs)
	}
}

// Python's grpcio reads the log as our client does: in order, and behind what it
// acknowledged before the node was killed.
func TestGRPC_Python(t *testing.T) {
	t.Parallel()
	need(t, "python3-grpcio", exec.Command(python, "-c", "import grpc, google.protobuf").Run() == nil)
	_, err := exec.LookPath("protoc")
	need(t, "protobuf-compiler", err == nil)
	modules := t.TempDir()
	if out, err := exec.Command("protoc", "-I", "../../api", "--python_out", modules, "edgeloop/v1/services.proto").CombinedOutput(); err != nil {
		t.Fatalf("protoc: %v\n%s", err, out)
	}
	n := startGRPC(t)
	launch(t, n.node, 1, 100, nil).waitAcked(patience, 100)
	seq := uint64(0)
	for _, count := range []int{60, 40} {
		cmd := exec.Command(python, "py/grpc_reader.py", modules, n.grpc, n.own(), "snake", strconv.Itoa(count))
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		for lines := bufio.NewScanner(strings.NewReader(string(out))); lines.Scan(); {
			var r sent
			if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
				t.Fatal(err)
			}
			if seq++; r.Seq != seq || r.Device != "d0000" || string(r.Data) != strconv.FormatUint(seq, 10) || r.Position == "" {
				t.Errorf("%+v, want sequence %d", r, seq)
			}
		}
		n.kill()
		n.boot()
	}
	if seq != 100 {
		t.Errorf("%d records came, 100 were acknowledged to the device", seq)
	}
}
