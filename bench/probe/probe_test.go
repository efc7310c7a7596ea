package probe_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/pprof"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"edgeloop/bench/probe"
)

func TestReadProcess(t *testing.T) {
	before, err := probe.ReadProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	burn(t, 100*time.Millisecond)
	after, err := probe.ReadProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if after.FDs != before.FDs+1 {
		t.Errorf("descriptors %d, want %d", after.FDs, before.FDs+1)
	}
	if after.RSS < 1<<20 || after.RSS > after.PeakRSS || after.Anonymous > after.RSS || after.Threads < 2 {
		t.Errorf("implausible: %+v", after)
	}
	d := probe.Delta(before, after)
	if d.CPUS() < 0.02 || d.CPUS() > 10 || d.RSS != after.RSS {
		t.Errorf("delta %+v", d)
	}
}

// burn uses d of CPU time, however long a busy machine takes to give it.
func burn(t *testing.T, d time.Duration) {
	t.Helper()
	used := func() time.Duration {
		var u unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
			t.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	block := make([]byte, 1<<16)
	for end := used() + d; used() < end; {
		sum := sha256.Sum256(block)
		block[0] = sum[0]
	}
}

func TestReadProcess_Ended(t *testing.T) {
	if _, err := probe.ReadProcess(1 << 30); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want os.ErrNotExist", err)
	}
}

func TestSettled(t *testing.T) {
	p, err := probe.Settled(t.Context(), os.Getpid(), time.Second)
	if err != nil || p.RSS == 0 {
		t.Errorf("%+v, %v", p, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := probe.Settled(ctx, os.Getpid(), time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
}

func TestReadKernel(t *testing.T) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	if k := probe.ReadKernel(); k.TCP < 1 || k.Sockets < k.TCP || k.Slab < k.Unreclaimable || k.Available == 0 {
		t.Errorf("implausible: %+v", k)
	}
}

func TestReadMachine(t *testing.T) {
	m := probe.ReadMachine()
	if m.Kernel == "" || m.Cores < 1 || m.Memory == 0 || m.NoFile == 0 || m.Sysctls["net.core.somaxconn"] == "" {
		t.Errorf("incomplete: %+v", m)
	}
}

func TestReadHeapAndMetrics(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" {
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, "# HELP x y\na 1.5\nb{l=\"q w\"} 2\nb{l=\"z\"} 3e2\n")
	})
	srv := httptest.NewServer(mux)
	defer srv.Close()

	h, err := probe.ReadHeap(t.Context(), probe.Endpoint{URL: srv.URL})
	if err != nil || h.Alloc < 10000 || h.InUse < h.Alloc || h.Objects == 0 || h.Stack == 0 {
		t.Errorf("%+v, %v", h, err)
	}
	m, err := probe.Metrics(t.Context(), probe.Endpoint{URL: srv.URL, Token: "secret"})
	if err != nil || m["a"] != 1.5 || m["b"] != 302 {
		t.Errorf("%v, %v", m, err)
	}
	if _, err := probe.Metrics(t.Context(), probe.Endpoint{URL: srv.URL}); err == nil {
		t.Error("a refusal was taken for an answer")
	}
}
