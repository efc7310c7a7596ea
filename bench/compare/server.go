package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// server is one row of the table.
type server struct {
	name string
	// what says what it is: library and version, threads.
	what string
	// args is the command; ADDR, CONTROL and DATA are filled in.
	args []string
	// control: pprof on CONTROL, so that garbage can be collected on demand.
	control bool
	// node: edgeloop's whole node, with tokens, registry and log.
	node bool
	// noBroadcast: it cannot be told to send to all.
	noBroadcast bool
	// idleOnly: a whole product, of which only idle memory is compared.
	idleOnly bool
	// mqtt: it speaks MQTT over TCP.
	mqtt bool
	// promise is what has become of a message of QoS 1 when its PUBACK is sent.
	promise string
	// own: a row of edgeloop or the raw loop, not a peer.
	own bool
	// secure: devices come by TLS, with these flags of edgebench.
	secure bool
	client []string
	// mutual: only those with a certificate get in; its handshakes alone are compared.
	mutual bool
	// front is the proxy that ends TLS, and most how many connections it can pass on.
	front string
	most  int
	// optional: a program of the machine's, which may not be installed.
	optional bool
}

// inMemory is the promise of a broker that has only looked who subscribed.
const inMemory = "taken into memory, nothing written"

func goPeer(name, what string) server {
	return server{
		name: name, what: what, control: true,
		args: []string{"bin/peers/" + name, "-addr", "ADDR", "-control", "CONTROL", "-broadcast"},
	}
}

// servers lists what is compared, in the order of the table.
func servers() []server {
	return []server{
		{name: "raw-1", own: true, what: "raw epoll in C, 1 thread", args: []string{"bin/peers/rawc", "-addr", "ADDR", "-threads", "1"}},
		{name: physical, own: true, what: "raw epoll in C, 2 threads", args: []string{"bin/peers/rawc", "-addr", "ADDR", "-threads", "2"}},
		{
			name: engineOnly, own: true, what: "gnet 2.10.0 alone, the node's engine: the same as the raw loop does", control: true, noBroadcast: true,
			args: []string{"bin/peers/gnet", "-addr", "ADDR", "-control", "CONTROL"},
		},
		{
			name: loopOnly, own: true, what: "`edgeloop echo`: loop and frames", control: true, noBroadcast: true,
			args: []string{"bin/edgeloop", "echo", "--listen", "ADDR", "--control-listen", "CONTROL"},
		},
		{
			name: wholeOne, own: true, what: "`edgeloop serve`: the whole node", control: true, node: true, promise: "synced to the disk",
			args: []string{"bin/edgeloop", "serve", "--listen", "ADDR", "--admin-listen", "CONTROL", "--data-dir", "DATA", "--log-level", "warn"},
		},
		goPeer("greatws", "antlabs/greatws 0.2.2, event loop"),
		goPeer("nbio", "lesismal/nbio 1.6.9, non-blocking"),
		goPeer("gws", "lxzan/gws 1.8.9"),
		goPeer("gobwas", "gobwas/ws 1.5.0, goroutine each"),
		goPeer("gorilla", "gorilla/websocket 1.5.3"),
		goPeer("coder", "coder/websocket 1.8.15"),
		{
			name: "nats-server", what: "nats-server 2.15.2, websocket listener", control: true, idleOnly: true,
			args: []string{"bin/peers/natsws", "-addr", "ADDR", "-control", "CONTROL"},
		},
		{
			name: nodeMQTT, own: true, what: "`edgeloop serve`, by MQTT", control: true, node: true, mqtt: true,
			promise: "synced to the disk",
			args:    []string{"bin/edgeloop", "serve", "--listen", "none", "--mqtt-listen", "ADDR", "--admin-listen", "CONTROL", "--data-dir", "DATA", "--log-level", "warn"},
		},
		{
			name: "mosquitto", what: "mosquitto (C)", mqtt: true, optional: true, promise: inMemory,
			args: []string{"mosquitto", "-p", "PORT"},
		},
		{
			name: "mochi", what: "mochi-mqtt/server 2.7.9 (Go)", control: true, mqtt: true, promise: inMemory,
			args: []string{"bin/peers/mochi", "-addr", "ADDR", "-control", "CONTROL"},
		},
	}
}

// absent says whether the server is one that may be missing, and is.
func (s server) absent() bool {
	if !s.optional {
		return false
	}
	_, err := exec.LookPath(s.args[0])
	return err != nil
}

// process is a server that runs.
type process struct {
	server
	cmd     *exec.Cmd
	addr    string
	adm     string
	data    string
	log     *os.File
	scratch string
	proxy   *exec.Cmd // nil without one
}

// start runs the server and waits until it accepts. A port that was free a moment ago may since
// have become the local end of another server's load, so it tries three times.
func start(ctx context.Context, s server, c certs) (p *process, err error) {
	for range 3 {
		if p, err = launch(ctx, s, c); err == nil || ctx.Err() != nil {
			break
		}
	}
	return p, err
}

func launch(ctx context.Context, s server, c certs) (*process, error) {
	p := &process{server: s}
	var err error
	if p.addr, err = freeAddr(); err != nil {
		return nil, err
	}
	if p.adm, err = freeAddr(); err != nil {
		return nil, err
	}
	// A relative path, so that results do not show where they were made.
	if err := os.MkdirAll("data", 0o755); err != nil {
		return nil, err
	}
	if p.scratch, err = os.MkdirTemp("data", "compare-"); err != nil {
		return nil, err
	}
	p.data = filepath.Join(p.scratch, "node")
	if p.log, err = os.Create(filepath.Join(p.scratch, "server.log")); err != nil {
		return nil, err
	}
	args := make([]string, len(s.args))
	for i, a := range s.args {
		args[i] = strings.NewReplacer("ADDR", p.addr, "CONTROL", p.adm, "DATA", p.data, "PORT", port(p.addr),
			"AUTHORITY", c.ca, "CERT", c.cert, "KEY", c.key).Replace(a)
	}
	p.cmd = exec.Command(args[0], args[1:]...)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	if err := p.cmd.Start(); err != nil {
		p.remove()
		return nil, err
	}
	err = p.awaitListening(ctx)
	if err == nil && s.front != "" {
		if err = p.startFront(c); err == nil {
			err = p.awaitListening(ctx)
		}
	}
	if err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return p, nil
}

func port(addr string) string {
	_, p, _ := net.SplitHostPort(addr) // made by freeAddr
	return p
}

func freeAddr() (string, error) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = ln.Close() }()
	return ln.Addr().String(), nil
}

func (p *process) awaitListening(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	addrs := []string{p.addr}
	if p.control {
		addrs = append(addrs, p.adm)
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for len(addrs) > 0 {
		c, err := net.DialTimeout("tcp", addrs[0], time.Second)
		if err == nil {
			_ = c.Close()
			addrs = addrs[1:]
			continue
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not listen: %w; %s", p.name, err, p.tail())
		case <-tick.C:
		}
	}
	return nil
}

// tail is the end of the server's output.
func (p *process) tail() string {
	b, _ := os.ReadFile(p.log.Name())
	return string(b[max(0, len(b)-500):])
}

// stop ends the server: SIGTERM, and SIGKILL after twenty seconds.
func (p *process) stop() error {
	defer p.remove()
	p.stopFront()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	t := time.AfterFunc(20*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer t.Stop()
	err := p.cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGTERM {
		return nil // a peer without a handler
	}
	return err
}

func (p *process) remove() {
	_ = p.log.Close()
	_ = os.RemoveAll(p.scratch)
}
