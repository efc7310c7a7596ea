package tlsrec

import (
	"crypto/tls"
	"runtime"
	"testing"
	"time"
	"unsafe"
)

// What a connection keeps while it is idle. With a record layer of our own that is a
// Session and the secrets; of TLS 1.2 what a tls.Conn is, and no Config of its own.
func TestSession_IdleMemory(t *testing.T) {
	if s, r := unsafe.Sizeof(Session{}), unsafe.Sizeof(records{}); s > 48 || r > 160 {
		t.Errorf("a Session has %d bytes and its records %d, at most 48 and 160 are wanted", s, r)
	}
	ca, std, own := twoServers(t)
	old := func(cfg *tls.Config) { cfg.MaxVersion = tls.VersionTLS12 }
	for _, c := range []struct {
		what   string
		server *Server
		change func(*tls.Config)
		most   int64 // bytes
	}{
		{"records of our own", own, func(*tls.Config) {}, 320},
		{"TLS 1.2 beside them", own, old, 4600},
		{"TLS 1.2", std, old, 4600},
	} {
		const many = 200
		kept := make([]*Session, many)
		conduct(t, c.server, ca, c.change) // what is made once
		before := heapAlloc()
		cache := &Cache{}
		for i := range kept {
			kept[i] = conduct(t, c.server, ca, c.change).session
			kept[i].Keep(cache)
		}
		for i := range time.Duration(3) {
			cache.Sweep(i * cachedFor)
		}
		each := (heapAlloc() - before) / many
		if each > c.most {
			t.Errorf("%s: an idle connection keeps %d bytes, at most %d are wanted", c.what, each, c.most)
		}
		runtime.KeepAlive(kept)
	}
}

// heapAlloc is the bytes of what is reachable.
func heapAlloc() int64 {
	var m runtime.MemStats
	for range 2 { // finalisers and pools need the second
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc) //nolint:gosec // far less
}
