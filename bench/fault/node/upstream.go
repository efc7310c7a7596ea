package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"edgeloop/bench/fault/faults"
	"edgeloop/internal/pause"
)

// NATSEnv names the variable with the path of a nats-server program; without it the
// scenario looks in PATH.
const NATSEnv = "EDGEFAULT_NATS_SERVER"

// Upstream is an external NATS server behind a proxy.
type Upstream struct {
	Binary, Dir, Addr string
	Proxy             *faults.Proxy
	Second            *faults.Proxy // of a second node
	cmd               *exec.Cmd
}

// Start starts the server, which syncs before it answers, and waits for it.
func (u *Upstream) Start(ctx context.Context) error {
	conf := filepath.Join(u.Dir, "nats.conf")
	text := fmt.Sprintf("listen: %q\nmax_payload: 8MB\njetstream { store_dir: %q, sync_interval: always }\n", u.Addr, filepath.Join(u.Dir, "nats"))
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(u.Dir, "nats.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	u.cmd = exec.Command(u.Binary, "-c", conf)
	u.cmd.Stdout, u.cmd.Stderr = log, log
	u.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := u.cmd.Start(); err != nil {
		return err
	}
	return u.reachable(ctx)
}

func (u *Upstream) reachable(ctx context.Context) error {
	for range 500 {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", u.Addr)
		if err == nil {
			c.Close()
			return nil
		}
		if err := pause.For(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	return errors.New("fault: the NATS server does not listen")
}

// Signal sends sig to the server.
func (u *Upstream) Signal(sig syscall.Signal) error { return u.cmd.Process.Signal(sig) }

// Kill ends the server with SIGKILL and waits for it.
func (u *Upstream) Kill() {
	if u.cmd != nil {
		_ = u.cmd.Process.Kill()
		_ = u.cmd.Wait() // killed
		u.cmd = nil
	}
}
