package testkit

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Postgres is a PostgreSQL of its own, with fsync, TLS and the password "right" for its user
// edge, seen by psql. PostgreSQL refuses to run as root; then it runs as another user.
type Postgres struct {
	Addr string // of TCP
	CA   string // the file of who signs its certificate

	dir, bin string
	who      *syscall.Credential // nil: who runs the test
	cmd      *exec.Cmd
}

// NewPostgres makes a cluster with further settings and starts it. Close ends it.
func NewPostgres(t testing.TB, settings ...string) *Postgres {
	t.Helper()
	p := &Postgres{bin: PostgresBin(t), who: NotRoot()}
	dir, err := os.MkdirTemp("", "edgeloop-pg-") // t.TempDir is closed to other users
	if err != nil {
		t.Fatal(err)
	}
	p.dir = dir
	p.own(t, dir)
	a := NewAuthority(t)
	cert, key := a.Issue("postgres", nil)
	p.CA = p.path("ca")
	for name, from := range map[string]string{"cert": cert, "key": key, "ca": a.File} {
		p.write(t, name, p.read(t, from))
	}
	p.write(t, "password", "right")
	p.run(t, filepath.Join(p.bin, "initdb"), "-D", p.path("data"), "-U", "edge", "--pwfile", p.path("password"), "--auth=scram-sha-256", "--no-sync", "--no-locale", "-E", "UTF8")
	p.Addr = FreeAddr(t)
	_, port, _ := net.SplitHostPort(p.Addr)
	settings = append([]string{
		"port = " + port, "listen_addresses = '127.0.0.1'", "unix_socket_directories = '" + dir + "'", "ssl = on",
		"ssl_cert_file = '" + p.path("cert") + "'", "ssl_key_file = '" + p.path("key") + "'", "autovacuum = off", "shared_buffers = 16MB",
	}, settings...)
	p.write(t, "data/postgresql.auto.conf", strings.Join(settings, "\n")+"\n")
	p.Up(t)
	return p
}

// PostgresBin is the folder with the programs; Debian has them where no PATH leads. The test is
// skipped where there is none, and fails in CI.
func PostgresBin(t testing.TB) string {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // the pattern is good
	if path, err := exec.LookPath("initdb"); err == nil && len(found) == 0 {
		found = append(found, path)
	}
	if len(found) > 0 {
		return filepath.Dir(slices.Max(found))
	}
	if os.Getenv("CI") != "" {
		t.Fatal("postgresql is missing: run scripts/setup-test.sh")
	}
	t.Skip("postgresql is missing: run make setup")
	return ""
}

// NotRoot is who runs what refuses to run as root; nil: who runs the test does.
func NotRoot() *syscall.Credential {
	if os.Getuid() != 0 {
		return nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			uid, _ := strconv.ParseUint(u.Uid, 10, 32)
			gid, _ := strconv.ParseUint(u.Gid, 10, 32)
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		}
	}
	return &syscall.Credential{Uid: 65534, Gid: 65534}
}

func (p *Postgres) path(name string) string { return filepath.Join(p.dir, name) }

func (p *Postgres) own(t testing.TB, path string) {
	t.Helper()
	if p.who == nil {
		return
	}
	if err := os.Chown(path, int(p.who.Uid), int(p.who.Gid)); err != nil {
		t.Fatal(err)
	}
}

func (p *Postgres) read(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func (p *Postgres) write(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(p.path(name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p.own(t, p.path(name))
}

func (p *Postgres) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = p.dir
	cmd.Env = append(os.Environ(), "PGPASSWORD=right", "PGCONNECT_TIMEOUT=20", "PGTZ=UTC", "LC_ALL=C")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.who}
	return cmd
}

func (p *Postgres) run(t testing.TB, name string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if out, err := p.command(ctx, name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// Up starts it with what it had, and returns when it answers.
func (p *Postgres) Up(t testing.TB) {
	t.Helper()
	log, err := os.OpenFile(p.path("log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	said := ""
	defer func() {
		if t.Failed() {
			t.Logf("psql says %s; PostgreSQL said %s", said, p.read(t, p.path("log")))
		}
	}()
	Eventually(t, time.Minute, "PostgreSQL to start", func() bool { // children of one that was killed may be there yet: it ends then
		if p.cmd == nil {
			p.cmd = p.command(context.Background(), filepath.Join(p.bin, "postgres"), "-D", p.path("data"))
			p.cmd.Stderr = log
			if err := p.cmd.Start(); err != nil {
				t.Fatal(err)
			}
		}
		var err error
		if said, err = p.psql(t, "SELECT 1"); err == nil {
			return true
		}
		if ended(p.cmd.Process.Pid) {
			p.killAll()
		}
		return false
	})
}

// ended says whether a process has ended, be it that nobody has asked for its end yet.
func ended(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(text), ") Z ")
}

// Kill ends it with SIGKILL, all its processes, and returns when none is left. Of the
// first alone the others would hear in a while, and confirm until then.
func (p *Postgres) Kill(t testing.TB) {
	t.Helper()
	if p.cmd == nil {
		return
	}
	Freeze(t, p.cmd.Process) // it makes no more
	children := p.killAll()
	Eventually(t, 30*time.Second, "the processes of PostgreSQL to end", func() bool {
		return !slices.ContainsFunc(children, func(pid int) bool { return !ended(pid) })
	})
}

// killAll ends its processes, and says which they were beside the first.
func (p *Postgres) killAll() (children []int) {
	pid := p.cmd.Process.Pid
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid)) // one that has ended has none
	for field := range strings.FieldsSeq(string(text)) {
		if child, err := strconv.Atoi(field); err == nil {
			children = append(children, child)
			_ = syscall.Kill(child, syscall.SIGKILL) // it may have ended
		}
	}
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	p.cmd = nil
	return children
}

// Close ends it and removes what it had.
func (p *Postgres) Close() {
	if p.cmd != nil {
		p.killAll()
	}
	_ = os.RemoveAll(p.dir) // in the system's temporary folder
}

// Process is its first process, that which takes connections.
func (p *Postgres) Process() *os.Process { return p.cmd.Process }

// URL is where it is, for a sink.
func (p *Postgres) URL() string { return "postgres://edge@" + p.Addr + "/postgres" }

// PSQL gives what psql says of SQL: a line for each row, columns between tabs.
func (p *Postgres) PSQL(t testing.TB, sql string) []string {
	t.Helper()
	out, err := p.psql(t, sql)
	if err != nil {
		t.Fatalf("%s: %v: %s", sql, err, out)
	}
	if out = strings.TrimSpace(out); out == "" {
		return nil
	}
	return strings.Split(out, "\n")
}

func (p *Postgres) psql(t testing.TB, sql string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, port, _ := net.SplitHostPort(p.Addr)
	out, err := p.command(ctx, filepath.Join(p.bin, "psql"), "-X", "-q", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-h", p.dir, "-p", port, "-U", "edge", "-d", "postgres", "-c", sql).CombinedOutput()
	return string(out), err
}
