package outlets

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"edgeloop/bench/fault/faults"
	"edgeloop/internal/pause"
)

// Postgres is a PostgreSQL of its own behind a proxy, with a table that numbers what comes.
// It does not run as root: then it runs as another user.
type Postgres struct {
	never
	// Immutable after construction.
	Proxy          *faults.Proxy
	bin, dir, addr string
	who            *syscall.Credential // nil: who runs this

	cmd *exec.Cmd // owned by the run's goroutine
}

// NewPostgres makes a cluster and starts it at addr, behind a proxy at front.
func NewPostgres(ctx context.Context, front, addr string) (p *Postgres, err error) {
	p = &Postgres{addr: addr}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // the pattern is good
	if path, err := exec.LookPath("initdb"); err == nil && len(found) == 0 {
		found = append(found, path)
	}
	if len(found) == 0 {
		return nil, errors.New("fault: there is no initdb: make setup installs it")
	}
	p.bin = filepath.Dir(slices.Max(found))
	if p.dir, err = os.MkdirTemp("", "edgefault-pg-"); err != nil { // the run's own is closed to other users
		return nil, err
	}
	if os.Getuid() == 0 {
		u, err := user.Lookup("postgres")
		if err != nil {
			return nil, errors.Join(err, os.RemoveAll(p.dir))
		}
		uid, _ := strconv.ParseUint(u.Uid, 10, 32)
		gid, _ := strconv.ParseUint(u.Gid, 10, 32)
		p.who = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(p.dir, int(uid), int(gid)); err != nil { //nolint:gosec // of 32 bits
			return nil, errors.Join(err, os.RemoveAll(p.dir))
		}
	}
	_, err = p.ask(ctx, "initdb", "-D", p.dir+"/data", "-U", "edge", "--auth=trust", "--no-sync", "--no-locale", "-E", "UTF8")
	if err == nil {
		err = p.Start(ctx)
	}
	if err == nil {
		_, err = p.sql(ctx, `CREATE TABLE telemetry (id bigserial, came timestamptz DEFAULT clock_timestamp(), position text PRIMARY KEY, record text NOT NULL)`)
	}
	if err == nil {
		p.Proxy, err = faults.NewProxy(front, addr)
	}
	if err != nil {
		p.Kill()
		return nil, errors.Join(err, os.RemoveAll(p.dir))
	}
	return p, nil
}

// command runs one of PostgreSQL's programs.
func (p *Postgres) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(p.bin, name), args...)
	cmd.Dir, cmd.Env = p.dir, append(os.Environ(), "PGCONNECT_TIMEOUT=5", "LC_ALL=C")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.who, Pdeathsig: syscall.SIGKILL}
	return cmd
}

func (p *Postgres) ask(ctx context.Context, name string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cmd := p.command(ctx, name, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", name, err, stderr.Bytes())
	}
	return out, nil
}

func (p *Postgres) sql(ctx context.Context, text string) ([]byte, error) {
	host, port, _ := net.SplitHostPort(p.addr)
	return p.ask(ctx, "psql", "-X", "-q", "-A", "-t", "-h", host, "-p", port, "-U", "edge", "-d", "postgres", "-c", text)
}

// Start starts the server on what it has, and waits until it answers.
func (p *Postgres) Start(ctx context.Context) error {
	_, port, _ := net.SplitHostPort(p.addr)
	p.cmd = p.command(context.Background(), "postgres", "-D", p.dir+"/data", "-p", port, "-c", "listen_addresses=127.0.0.1",
		"-c", "unix_socket_directories="+p.dir, "-c", "shared_buffers=16MB", "-c", "autovacuum=off")
	if err := p.cmd.Start(); err != nil {
		return err
	}
	var err error
	for range 300 {
		if _, err = p.sql(ctx, "SELECT 1"); err == nil {
			return nil
		}
		if err := pause.For(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	return fmt.Errorf("fault: PostgreSQL does not answer: %w", err)
}

// Kill has all processes of the server quit at once, without writing anything, and waits for
// them: with SIGKILL of the first the others would confirm for a while.
func (p *Postgres) Kill() {
	if p.cmd != nil && p.cmd.Process != nil {
		_ = p.cmd.Process.Signal(syscall.SIGQUIT)
		_ = p.cmd.Wait() // it quit
	}
	p.cmd = nil
}

// Name implements Outlet.
func (p *Postgres) Name() string { return "postgres" }

// Keys implements Outlet.
func (p *Postgres) Keys() string {
	return fmt.Sprintf("type: postgres, url: 'postgres://edge@%s/postgres', tls: disable, columns: {position: position, record: record}", p.Proxy.Addr())
}

// Read implements Outlet.
func (p *Postgres) Read(ctx context.Context, each func(at time.Time, line []byte) error) error {
	out, err := p.sql(ctx, `SELECT (extract(epoch FROM came) * 1000000)::bigint || ' ' || record FROM telemetry ORDER BY id`)
	if err != nil {
		return err
	}
	return eachLine("what PostgreSQL holds", out, func(line []byte) error {
		micros, record, _ := bytes.Cut(line, []byte{' '})
		at, err := strconv.ParseInt(string(micros), 10, 64)
		if err != nil {
			return fmt.Errorf("psql wrote %.200q: %w", line, err)
		}
		return each(time.UnixMicro(at), record)
	})
}

// Close implements Outlet.
func (p *Postgres) Close() {
	p.Proxy.Close()
	p.Kill()
	_ = os.RemoveAll(p.dir) // only tidying up
}
