package backbone_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"edgeloop/backbone"
	"edgeloop/backbone/backbonetest"
)

// Nothing stays of a reader that has ended, whether it came to the end or left: no
// consumer at the server, no goroutine.
func TestBackbone_ReadLeavesNothing(t *testing.T) {
	b := open(t, backbone.Config{DataDir: t.TempDir()})
	backbonetest.Append(t, b, []backbone.Record{record("d", 1, nil), record("d", 2, nil)})
	left := errors.New("left")
	before := runtime.NumGoroutine()
	for range 100 {
		if got := len(readAll(t, b, backbone.ReadOptions{})); got != 2 {
			t.Fatalf("read %d", got)
		}
		err := b.Read(t.Context(), backbone.ReadOptions{Follow: true}, func(uint64, []byte) error { return left })
		if !errors.Is(err, left) {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		err = b.Read(ctx, backbone.ReadOptions{Follow: true}, func(position uint64, _ []byte) error {
			if position == 2 {
				cancel()
			}
			return nil
		})
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	if n, err := backbone.Consumers(t.Context(), b, backbone.StreamUp); n != 0 || err != nil {
		t.Errorf("%d readers are left at the server, %v", n, err)
	}
	eventually(t, "the goroutines to end", func() bool { return runtime.NumGoroutine() <= before+20 })
}

// A reader that does not follow gives all there is, also where the server says too early that
// there is no more.
func TestBackbone_ReadEndsWithTheLast(t *testing.T) {
	b := open(t, backbone.Config{DataDir: t.TempDir()})
	const all = 3000
	var rs []backbone.Record
	for n := range uint64(all) {
		rs = append(rs, record("d", n+1, nil))
	}
	backbonetest.Append(t, b, rs)
	for range 5 {
		left, err := backbone.SayNoMore(b, 2)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(readAll(t, b, backbone.ReadOptions{Device: "d"})); got != all {
			t.Errorf("read %d of %d", got, all)
		}
		eventually(t, "all false answers to be given", func() bool { return left() <= 0 })
	}
}

// A reader that does not get on is sent no more than its bound, in bytes.
func TestBackbone_ReadAheadIsBounded(t *testing.T) {
	b := open(t, backbone.Config{DataDir: t.TempDir()})
	var rs []backbone.Record
	for n := range uint64(64) {
		r := record("d", n+1, nil)
		r.Data = append(append([]byte{'"'}, bytes.Repeat([]byte("x"), 128<<10)...), '"')
		rs = append(rs, r)
	}
	rs[40].Data = append(append([]byte{'"'}, bytes.Repeat([]byte("x"), 2<<20)...), '"') // more than the bound by itself
	backbonetest.Append(t, b, rs)
	before, n := backbone.ReaderBytes(b), 0
	err := b.Read(t.Context(), backbone.ReadOptions{}, func(uint64, []byte) error {
		n++
		if n == 1 {
			for range 20 { // time for more to come, if more was asked for
				if _, err := b.Last(t.Context(), "default", "d"); err != nil {
					return err
				}
			}
			if got := backbone.ReaderBytes(b) - before; got > 1<<20+4096 {
				t.Errorf("%d bytes came for a reader that stands still", got)
			}
		}
		return nil
	})
	if err != nil || n != len(rs) {
		t.Errorf("read %d, %v", n, err)
	}
}

// A record is given to readers only when it is on the disk.
func TestBackbone_ReadersDoNotPassTheSync(t *testing.T) {
	hold, held := make(chan struct{}), make(chan struct{}, 16)
	var stop sync.Once
	release := func() { stop.Do(func() { close(hold) }) }
	defer release()
	b := openWith(t, backbone.Config{DataDir: t.TempDir()}, backbone.Seams{Sync: func(next func() error) error {
		held <- struct{}{}
		<-hold
		return next()
	}})
	read := make(chan uint64, 16)
	ctx, cancel := context.WithCancel(t.Context())
	var reading sync.WaitGroup
	defer reading.Wait()
	defer cancel()
	reading.Go(func() {
		_ = b.Read(ctx, backbone.ReadOptions{Follow: true}, func(position uint64, _ []byte) error {
			read <- position
			return nil
		})
	})
	if err := b.Append([]backbone.Record{record("d", 1, nil)}); err != nil {
		t.Fatal(err)
	}
	<-held
	// The record is stored and not synced: who reads to the end is not given it.
	if lines := readAll(t, b, backbone.ReadOptions{}); len(lines) != 0 {
		t.Errorf("read %q before the sync", lines)
	}
	select {
	case position := <-read:
		t.Errorf("was given %d before the sync", position)
	default:
	}
	release()
	if position := <-read; position != 1 {
		t.Errorf("was given %d", position)
	}
}

// An external server that stands still, as by SIGSTOP: who reads leaves when told to,
// also when the reader has begun to recover, and the node closes in time.
func TestBackbone_SilentServer(t *testing.T) {
	ext := startExternal(t)
	p := startProxy(t, strings.TrimPrefix(ext.url, "nats://"))
	core, logs := observer.New(zap.WarnLevel)
	b, err := backbone.OpenWith(t.Context(), backbone.Config{NATSURL: "nats://" + p.addr, Logger: zap.New(core)},
		backbone.Seams{Silence: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer p.thaw()
	backbonetest.Append(t, b, []backbone.Record{record("d", 1, nil)})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended, begun := make(chan error, 2), make(chan struct{})
	go func() {
		ended <- b.Read(ctx, backbone.ReadOptions{Follow: true}, func(uint64, []byte) error {
			close(begun)
			return nil
		})
	}()
	go func() { ended <- b.WatchPresence(ctx, func(backbone.Presence) {}) }()
	<-begun
	p.freeze()
	// Three watches notice it, and begin anew in vain.
	eventually(t, "the silence to be noticed", func() bool {
		return logs.FilterMessage("a watch on a stream broke, starting it again").Len() >= 3
	})
	began := time.Now()
	cancel()
	for range 2 {
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
	}
	within, stop := context.WithTimeout(context.Background(), 2*time.Second)
	defer stop()
	if err := b.Append([]backbone.Record{record("d", 2, nil)}); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(within); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("closed with %v", err)
	}
	if took := time.Since(began); took > 40*time.Second {
		t.Errorf("it took %v to leave", took)
	}
	p.thaw()
	eventually(t, "the server to be done with the node", func() bool { return ext.srv.NumClients() == 0 })
}

// proxy stands between a node and its server, and can stand still.
type proxy struct {
	addr   string
	frozen sync.RWMutex // held for writing while it stands still
	once   sync.Once
}

func (p *proxy) freeze() { p.frozen.Lock() }
func (p *proxy) thaw()   { p.once.Do(p.frozen.Unlock) }

func startProxy(t *testing.T, to string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{addr: l.Addr().String()}
	var running sync.WaitGroup
	t.Cleanup(func() {
		_ = l.Close()
		running.Wait()
	})
	running.Go(func() {
		for {
			down, err := l.Accept()
			if err != nil {
				return
			}
			up, err := net.Dial("tcp", to)
			if err != nil {
				_ = down.Close()
				continue
			}
			running.Go(func() { p.pass(down, up) })
			running.Go(func() { p.pass(up, down) })
		}
	})
	return p
}

func (p *proxy) pass(from, to net.Conn) {
	defer func() { _, _ = from.Close(), to.Close() }()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		p.frozen.RLock()
		p.frozen.RUnlock() //nolint:staticcheck // it waits while the proxy stands still
		if err != nil {
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}
