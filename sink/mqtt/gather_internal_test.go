package mqtt

import (
	"bytes"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.golang/packets"
)

// line is a connection whose writes are held back until they are let go.
type line struct {
	net.Conn // nil: nothing else of it is used
	let      chan struct{}

	mu sync.Mutex
	// Guarded by mu.
	writes [][]byte
	closed bool
	err    error
}

func (l *line) Write(b []byte) (int, error) {
	l.mu.Lock()
	l.writes = append(l.writes, bytes.Clone(b))
	err := l.err
	l.mu.Unlock()
	<-l.let
	return len(b), err
}

func (l *line) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.closed = true
		close(l.let)
	}
	return nil
}

func (l *line) wrote() [][]byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.writes)
}

func (l *line) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

// ack is a packet, and one whose writer is the library.
func ack(t *testing.T, to *gathered, id uint16) {
	p := packets.NewControlPacket(packets.PUBACK)
	p.Content.(*packets.Puback).PacketID = id
	if _, err := p.WriteTo(to); err != nil {
		t.Error(err)
	}
}

// Packets that are written while another one is on its way leave with one write, each of them
// whole; and what is gathered leaves before the connection is closed.
func TestGather_LeaveTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &line{let: make(chan struct{})}
		g := gather(l)
		ack(t, g, 1)
		synctest.Wait()
		var writers sync.WaitGroup
		for id := range uint16(200) {
			writers.Go(func() { ack(t, g, 2+id) })
		}
		writers.Wait()
		l.let <- struct{}{}
		synctest.Wait()
		wrote := l.wrote()
		if len(wrote) != 2 {
			t.Fatalf("201 packets are %d writes", len(wrote))
		}
		seen := map[uint16]bool{}
		for r := bytes.NewReader(wrote[1]); r.Len() > 0; {
			p, err := packets.ReadPacket(r)
			if err != nil {
				t.Fatalf("behind %d packets: %v", len(seen), err)
			}
			seen[p.Content.(*packets.Puback).PacketID] = true
		}
		if len(seen) != 200 {
			t.Errorf("%d packets are in the second write", len(seen))
		}
		ack(t, g, 1000)
		go func() {
			for range 2 {
				l.let <- struct{}{}
			}
		}()
		if err := g.Close(); err != nil || len(l.wrote()) != 3 {
			t.Errorf("%d writes before it was closed, %v", len(l.wrote()), err)
		}
	})
}

// A write that fails closes the connection, so that who waits for an answer hears of it, and
// later packets fail. One that hangs does not keep Close for longer than a goodbye may take.
func TestGather_FailsAndHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &line{let: make(chan struct{}), err: errors.New("reset")}
		g := gather(l)
		ack(t, g, 1)
		l.let <- struct{}{}
		synctest.Wait()
		if _, err := packets.NewControlPacket(packets.PINGREQ).WriteTo(g); err == nil || !l.isClosed() {
			t.Errorf("a later packet: %v; closed: %v", err, l.isClosed())
		}
		_ = g.Close()

		hung := gather(&line{let: make(chan struct{})})
		ack(t, hung, 1)
		synctest.Wait()
		began := time.Now()
		if err := hung.Close(); err != nil || time.Since(began) > goodbyeWithin {
			t.Errorf("closed after %s, %v", time.Since(began), err)
		}
	})
}
