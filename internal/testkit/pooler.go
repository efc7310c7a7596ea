package testkit

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"
)

// Pooler starts a PgBouncer in front of it, until the test ends, and gives its address. Two
// sessions of the server are what all transactions of its clients share; it asks them for no
// password, and speaks no TLS to them.
func (p *Postgres) Pooler(t testing.TB) (addr string) {
	t.Helper()
	program := ""
	for _, name := range []string{"pgbouncer", "/usr/sbin/pgbouncer"} {
		if path, err := exec.LookPath(name); err == nil {
			program = path
		}
	}
	if program == "" && os.Getenv("CI") != "" {
		t.Fatal("pgbouncer is missing: run scripts/setup-test.sh")
	}
	if program == "" {
		t.Skip("pgbouncer is missing: run make setup")
	}
	addr = FreeAddr(t)
	_, own, _ := net.SplitHostPort(addr)
	_, port, _ := net.SplitHostPort(p.Addr)
	p.write(t, "pgbouncer.ini", fmt.Sprintf(`[databases]
* = host=127.0.0.1 port=%s user=edge password=right
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %s
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 2
server_tls_sslmode = require
`, port, own))
	cmd := p.command(context.Background(), program, p.path("pgbouncer.ini"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	Eventually(t, time.Minute, "PgBouncer to take connections", func() bool {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return addr
}
