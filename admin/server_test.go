package admin_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"edgeloop/admin"
	"edgeloop/admin/api"
)

func TestServer_StartStop(t *testing.T) {
	f := newFakes(t, func(c *admin.Config) { c.Listen = "127.0.0.1:0" })
	if f.server.Addr() != nil {
		t.Error("an address before Start")
	}
	if err := f.server.Start(); err != nil {
		t.Fatal(err)
	}
	addr := f.server.Addr().String()
	res, err := http.Get("http://" + addr + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	taken := newFakes(t, func(c *admin.Config) { c.Listen = addr })
	if err := taken.server.Start(); err == nil {
		t.Error("two servers listen on one address")
	}
	if err := f.server.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if c, err := net.Dial("tcp", addr); err == nil {
		c.Close()
		t.Error("the address is served after Stop")
	}
}

func TestServer_StopBeforeStart(t *testing.T) {
	if err := newFakes(t).server.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestServer_TLS(t *testing.T) {
	f := newFakes(t, func(c *admin.Config) {
		c.Listen = "127.0.0.1:0"
		c.TLS = testCertificate(t)
	})
	if err := f.server.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := f.server.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // our own certificate
	defer transport.CloseIdleConnections()
	res, err := (&http.Client{Transport: transport}).Get("https://" + f.server.Addr().String() + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK || res.TLS == nil {
		t.Errorf("status %d, TLS %v", res.StatusCode, res.TLS)
	}
}

// Mallory sends one byte of a header every second, or a body that never comes.
// Each is cut off after the read timeout, whatever he sends in between.
func TestServer_SlowRequests(t *testing.T) {
	for name, c := range map[string]struct{ first, drip string }{
		"header": {"GET /healthz HTTP/1.1\r\nHost: node\r\n", "x"},
		"body": {
			"PATCH /v1/limits HTTP/1.1\r\nHost: node\r\nAuthorization: Bearer " + token +
				"\r\nContent-Length: 1000\r\n\r\n{", " ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, stop := newFakes(t).serve()
				defer stop()
				conn := b.raw(t, c.first)
				defer conn.Close()
				go func() { _, _ = io.Copy(io.Discard, conn) }()
				start := time.Now()
				for time.Since(start) < time.Minute {
					if _, err := io.WriteString(conn, c.drip); err != nil {
						break
					}
					time.Sleep(time.Second)
				}
				if took := time.Since(start); took < 9*time.Second || took > 12*time.Second {
					t.Errorf("cut off after %s, want about 10 s", took)
				}
			})
		})
	}
}

func TestServer_LargeHeader(t *testing.T) {
	f := newFixture(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.http.URL+"/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Large", strings.Repeat("x", 64<<10))
	s := newFakes(t, func(c *admin.Config) { c.Listen = "127.0.0.1:0" }).server
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	req.URL.Host = s.Addr().String()
	res, err := f.http.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("status %d, want 431", res.StatusCode)
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

// A connection beyond the limit is served when another one ends.
func TestServer_MaxConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakes(t, func(c *admin.Config) { c.MaxConnections = 2 })
		b, stop := f.serve()
		defer stop()
		first := b.raw(t, "GET /healthz HTTP/1.1\r\n")
		second := b.raw(t, "GET /healthz HTTP/1.1\r\n")
		defer second.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if c, err := b.pipes.dial(ctx, "", ""); err == nil {
			c.Close()
			t.Fatal("a third connection was accepted")
		}
		first.Close()
		third := b.raw(t, "GET /healthz HTTP/1.1\r\nHost: node\r\n\r\n")
		defer third.Close()
		answer := make([]byte, len("HTTP/1.1 200"))
		if _, err := io.ReadFull(third, answer); err != nil || string(answer) != "HTTP/1.1 200" {
			t.Errorf("the third got %q, %v", answer, err)
		}
	})
}

// A command may wait longer than a response may take to be written.
func TestServer_LongWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakes(t)
		f.commands.CommandFunc = func(context.Context, api.Command) (api.CommandResult, error) {
			time.Sleep(4 * time.Minute)
			return api.CommandResult{ID: "01J", State: api.CommandReplied}, nil
		}
		b, stop := f.serve()
		defer stop()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://node"+commandPath+"?wait=4m", strings.NewReader(`{"name":"x"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := b.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Errorf("status %d", res.StatusCode)
		}
	})
}

// Stop lets a running request finish, and cuts it when its own time is up.
func TestServer_StopWaits(t *testing.T) {
	for name, c := range map[string]struct {
		request time.Duration
		cut     bool
	}{
		"a request that ends in time": {5 * time.Second, false},
		"a request that does not":     {time.Hour, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFakes(t)
				f.commands.CommandFunc = func(ctx context.Context, _ api.Command) (api.CommandResult, error) {
					select {
					case <-time.After(c.request):
						return api.CommandResult{ID: "1", State: api.CommandReplied}, nil
					case <-ctx.Done():
						return api.CommandResult{}, ctx.Err()
					}
				}
				b, _ := f.serve()
				body := `{"name":"x"}`
				conn := b.raw(t, fmt.Sprintf("POST %s HTTP/1.1\r\nHost: node\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s",
					commandPath, token, len(body), body))
				defer conn.Close()
				answered := make(chan bool, 1)
				go func() {
					all, _ := io.ReadAll(conn)
					answered <- strings.HasPrefix(string(all), "HTTP/1.1 200")
				}()
				synctest.Wait()
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				start := time.Now()
				err := f.server.Stop(ctx)
				if (err != nil) != c.cut || <-answered == c.cut {
					t.Errorf("Stop: %v, the request was cut: want %v", err, c.cut)
				}
				if took := time.Since(start); took > 31*time.Second {
					t.Errorf("Stop took %s", took)
				}
			})
		})
	}
}

// Requests are logged at Debug and nowhere above, and the token never.
func TestServer_RequestLog(t *testing.T) {
	core, logs := observer.New(zapcore.DebugLevel)
	f := newFixture(t, func(c *admin.Config) { c.Logger = zap.New(core) })
	f.call("GET", "/v1/devices/default/d1", "").want(http.StatusNotFound)
	entries := logs.All()
	if len(entries) != 1 || entries[0].Level != zapcore.DebugLevel || entries[0].LoggerName != "admin" {
		t.Fatalf("the log holds %v", entries)
	}
	fields := entries[0].ContextMap()
	if fields["status"] != int64(404) || fields["route"] != "GET /v1/devices/{tenant}/{device}" || fields["method"] != "GET" {
		t.Errorf("fields %v", fields)
	}
	if strings.Contains(fmt.Sprint(fields), token) {
		t.Error("the log holds the token")
	}
}

// Nothing that the API says may be kept by a cache or taken for another type.
func TestServer_Headers(t *testing.T) {
	f := newFixture(t)
	r := f.call("GET", "/v1/node", "").want(http.StatusOK)
	if r.header.Get("Cache-Control") != "no-store" || r.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("headers %v", r.header)
	}
}

func TestProfiles(t *testing.T) {
	f := newFixture(t)
	for path, want := range map[string]int{
		"/debug/pprof/":             200,
		"/debug/pprof/heap?debug=1": 200,
		"/debug/pprof/goroutine":    200,
		"/debug/pprof/cmdline":      200,
		"/debug/pprof/symbol":       200,
		"/debug/pprof/nothing":      404,
	} {
		f.call("GET", path, "").want(want)
	}
}
