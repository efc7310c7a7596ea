package backbone_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"edgeloop/backbone"
	"edgeloop/backbone/backbonetest"
)

// BenchmarkAppend measures the whole way of a 128-byte message from Append to
// Durable, four callers, 10,000 devices. cpu-us/msg is user and system time of
// the process: callers, committer, client and server together.
func BenchmarkAppend(b *testing.B) {
	for _, d := range []backbone.Durability{backbone.Power, backbone.Process} {
		for _, chunk := range []int{1, 16} {
			b.Run(fmt.Sprintf("durability=%s/chunk=%d", d, chunk), func(b *testing.B) { benchmarkAppend(b, d, chunk) })
		}
	}
}

const benchDevices = 10_000

func benchmarkAppend(b *testing.B, d backbone.Durability, chunk int) {
	bb := open(b, backbone.Config{DataDir: b.TempDir(), Durability: d})
	names := make([]string, benchDevices)
	for i := range names {
		names[i] = fmt.Sprintf("device-%05d", i)
	}
	data := []byte(fmt.Sprintf("%0127d", 0))
	data = append([]byte{'1'}, data...)
	var done counter
	const callers = 4
	b.ReportAllocs()
	b.SetBytes(int64(len(data)))
	b.ResetTimer()
	before, start := cpu(), time.Now()
	failed := make(chan error, callers)
	for c := range callers {
		go func() {
			rs := make([]backbone.Record, chunk)
			for i := c * chunk; i < b.N; i += callers * chunk {
				n := min(chunk, b.N-i)
				for j := range n {
					k := i + j
					rs[j] = backbone.Record{
						Tenant: "default", Device: names[k%benchDevices], Epoch: 1, Seq: uint64(k/benchDevices + 1),
						Type: "telemetry", Received: 1795234836001, Data: data, Done: &done,
					}
				}
				if err := bb.Append(rs[:n]); err != nil {
					failed <- err
					return
				}
			}
			failed <- nil
		}()
	}
	for range callers {
		if err := <-failed; err != nil {
			b.Fatal(err)
		}
	}
	backbonetest.Flush(b, bb)
	b.StopTimer()
	used, wall := cpu()-before, time.Since(start)
	if got := done.n.Load(); got != int64(b.N) {
		b.Fatalf("%d durable, want %d", got, b.N)
	}
	s := bb.Stats()
	b.ReportMetric(float64(used.Nanoseconds())/1e3/float64(b.N), "cpu-us/msg")
	b.ReportMetric(float64(b.N)/wall.Seconds(), "msg/s")
	b.ReportMetric(float64(s.Records)/float64(s.Batches), "msg/batch")
}

// cpu is the user and system time of this process.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkCommit measures one batch at a time, from Append to Durable: what a
// device waits for when the node is not busy.
func BenchmarkCommit(b *testing.B) {
	for _, d := range []backbone.Durability{backbone.Power, backbone.Process} {
		for _, n := range []int{1, 2, 16, 128, 1000} {
			b.Run(fmt.Sprintf("durability=%s/records=%d", d, n), func(b *testing.B) {
				bb := open(b, backbone.Config{DataDir: b.TempDir(), Durability: d})
				rs := make([]backbone.Record, n)
				for i := range rs {
					rs[i] = record(fmt.Sprintf("device-%05d", i), uint64(i+1), nil)
				}
				before := cpu()
				for b.Loop() {
					if err := bb.Append(rs); err != nil {
						b.Fatal(err)
					}
					backbonetest.Flush(b, bb)
				}
				b.ReportMetric(float64((cpu()-before).Nanoseconds())/1e3/float64(b.N*n), "cpu-us/msg")
			})
		}
	}
}

// BenchmarkLast asks for the sequence of devices in turn, after a restart, in
// a log of 300,000 records: what a storm of devices costs that this node does not
// remember.
func BenchmarkLast(b *testing.B) {
	dir := b.TempDir()
	bb := open(b, backbone.Config{DataDir: dir})
	rs := make([]backbone.Record, 1000)
	for n := range 300 {
		for i := range rs {
			rs[i] = record(fmt.Sprintf("device-%05d", (n*1000+i)%benchDevices), uint64(n/10+1), nil)
		}
		if err := bb.Append(rs); err != nil {
			b.Fatal(err)
		}
	}
	if err := bb.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
	bb = open(b, backbone.Config{DataDir: dir})
	i := 0
	for b.Loop() {
		i++
		last, err := bb.Last(b.Context(), "default", fmt.Sprintf("device-%05d", i*7919%benchDevices))
		if err != nil || last.Seq != 30 {
			b.Fatalf("Last = %+v, %v", last, err)
		}
	}
}
