package eventloop_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"testing"

	"edgeloop/eventloop"
)

// sealedBefore are records of a client of TLS 1.3, made before anything is measured, each
// with frames in it; conn is where they belong.
func (n *node) sealedBefore(cfg *tls.Config, frames []byte, count int) (conn *net.TCPConn, records [][]byte) {
	n.t.Helper()
	conn = n.dial().conn
	odd := &oddConn{TCPConn: conn}
	client := tls.Client(odd, cfg)
	if _, err := client.Write([]byte(request)); err != nil {
		n.t.Fatal(err)
	}
	if _, err := client.Read(make([]byte, 4096)); err != nil { // the 101, with the ticket before it
		n.t.Fatal(err)
	}
	odd.write = func(b []byte) (int, error) {
		records = append(records, bytes.Clone(b))
		return len(b), nil
	}
	for range count {
		if _, err := client.Write(frames); err != nil {
			n.t.Fatal(err)
		}
	}
	return conn, records
}

// Over TLS a message costs as many allocations as without it, which is none; and the
// answers to what came together are one record.
func TestAllocs_TLS(t *testing.T) {
	skipWithInvariants(t)
	server, pool := secureServerBy(t, true)
	n := serve(t, eventloop.Config{Loops: 1, Listeners: over(server, oneForEach)}, echoing())
	const runs, messages, around = 300, 64, 5 + 1 + 16
	msg := bin(make([]byte, 128))
	for _, many := range []int{1, messages} {
		cfg := &tls.Config{RootCAs: pool, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS13, DynamicRecordSizingDisabled: true}
		conn, records := n.sealedBefore(cfg, bytes.Repeat(wire(msg), many), runs+1)
		reply := make([]byte, many*len(unmasked(msg))+around)
		next := 0
		allocs := testing.AllocsPerRun(runs, func() {
			if _, err := conn.Write(records[next]); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(conn, reply); err != nil {
				t.Fatal(err)
			}
			if size := int(reply[3])<<8 | int(reply[4]); size != len(reply)-5 {
				t.Fatalf("the answer is a record of %d bytes and more, want %d in one", size, len(reply)-5)
			}
			next++
		})
		if allocs > 0.1 {
			t.Errorf("%.2f allocations for %d messages in a record", allocs, many)
		}
	}
}
