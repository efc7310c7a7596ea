package admin_test

import (
	"bufio"
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
	"edgeloop/internal/testkit"
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
	testkit.Eventually(t, time.Minute, "the answer, which is lost when the server has closed before it is read", func() bool {
		res, err := f.http.Client().Do(req)
		if err != nil {
			return false
		}
		res.Body.Close()
		if res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("status %d, want 431", res.StatusCode)
		}
		return true
	})
	if err := s.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

// Mallory, who has no token, keeps as many connections open as there may be, each
// after an answer or in the middle of a request. Probes get through, and one who
// has shown the token keeps his connection.
func TestServer_ProbesGetThrough(t *testing.T) {
	const limit = 16
	for name, text := range map[string]string{
		"connections that were served":           "GET /healthz HTTP/1.1\r\nHost: node\r\n\r\n",
		"requests that do not end":               "GET /healthz HTTP/1.1\r\nHost: ",
		"wrong tokens":                           "GET /v1/node HTTP/1.1\r\nHost: node\r\nAuthorization: Bearer x\r\n\r\n",
		"nothing at all, but a first byte of it": "G",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFakes(t, func(c *admin.Config) { c.MaxConnections = limit })
				b, stop := f.serve()
				defer stop()
				friend := b.raw(t, "GET /v1/node HTTP/1.1\r\nHost: node\r\nAuthorization: Bearer "+token+"\r\n\r\n")
				defer friend.Close()
				wantAnswer(t, friend, 200)
				for range limit - 1 {
					c := b.raw(t, text)
					defer c.Close()
					go func() { _, _ = io.Copy(io.Discard, c) }()
				}
				synctest.Wait()
				for range 2 * limit {
					probe := b.raw(t, "GET /readyz HTTP/1.1\r\nHost: node\r\n\r\n")
					defer probe.Close()
					wantAnswer(t, probe, 200)
				}
				if _, err := io.WriteString(friend, "GET /v1/limits HTTP/1.1\r\nHost: node\r\nAuthorization: Bearer "+token+"\r\n\r\n"); err != nil {
					t.Fatal(err)
				}
				wantAnswer(t, friend, 200)
			})
		})
	}
}

// Requests that wait take no probe's place, however many they are.
func TestServer_WaitingRequestsLeaveRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit, served = 16, 14
		f := newFakes(t, func(c *admin.Config) { c.MaxConnections = limit })
		f.commands.CommandFunc = func(ctx context.Context, _ api.Command) (api.CommandResult, error) {
			<-ctx.Done()
			return api.CommandResult{}, ctx.Err()
		}
		b, stop := f.serve()
		defer stop()
		ask := func() net.Conn {
			return b.raw(t, "POST "+commandPath+"?wait=5m HTTP/1.1\r\nHost: node\r\nAuthorization: Bearer "+token+
				"\r\nContent-Length: 12\r\n\r\n{\"name\":\"x\"}")
		}
		for range served {
			c := ask()
			defer c.Close()
			go func() { _, _ = io.Copy(io.Discard, c) }()
		}
		synctest.Wait()
		one := ask()
		defer one.Close()
		wantAnswer(t, one, 503)
		for range limit {
			probe := b.raw(t, "GET /readyz HTTP/1.1\r\nHost: node\r\n\r\n")
			defer probe.Close()
			wantAnswer(t, probe, 200)
		}
	})
}

// wantAnswer reads one response from a connection and insists on its status.
func wantAnswer(t *testing.T, c net.Conn, status int) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	if err != nil || res.StatusCode != status {
		t.Fatalf("status %d, %v; want %d", res.StatusCode, err, status)
	}
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

// Stop lets a running request finish, cuts it when its own time is up, and ends
// at once what only waits.
func TestServer_StopWaits(t *testing.T) {
	for name, c := range map[string]struct {
		works  time.Duration // of the request, whatever is asked of it
		answer string        // "" for none
		atMost time.Duration
	}{
		"a request that ends in time": {5 * time.Second, "HTTP/1.1 202", 6 * time.Second},
		"a request that does not":     {time.Hour, "", 31 * time.Second},
		"a request that only waits":   {0, "HTTP/1.1 503", time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFakes(t)
				f.commands.CommandFunc = func(ctx context.Context, _ api.Command) (api.CommandResult, error) {
					if c.works > 0 {
						time.Sleep(c.works)
						return api.CommandResult{ID: "1", State: api.CommandSent}, nil
					}
					<-ctx.Done()
					return api.CommandResult{}, ctx.Err()
				}
				b, _ := f.serve()
				body := `{"name":"x"}`
				conn := b.raw(t, fmt.Sprintf("POST %s HTTP/1.1\r\nHost: node\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s",
					commandPath, token, len(body), body))
				defer conn.Close()
				silent := b.raw(t, "GET /heal")
				defer silent.Close()
				answered := make(chan string, 1)
				go func() {
					all, _ := io.ReadAll(conn)
					answered <- string(all)
				}()
				synctest.Wait()
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				start := time.Now()
				err := f.server.Stop(ctx)
				if cut := c.answer == ""; (err != nil) != cut {
					t.Errorf("Stop: %v, the request was cut: want %t", err, cut)
				}
				if got := <-answered; !strings.HasPrefix(got, c.answer) || (c.answer == "" && got != "") {
					t.Errorf("the request was answered %q, want %q", got, c.answer)
				}
				if took := time.Since(start); took > c.atMost {
					t.Errorf("Stop took %s, want at most %s", took, c.atMost)
				}
				time.Sleep(c.works) // until it has ended by itself
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
