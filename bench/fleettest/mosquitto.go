package fleettest

import (
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"edgeloop/internal/testkit"
)

// Mosquitto starts a broker that nobody here wrote and returns its URL. It ends with the test.
func Mosquitto(t testing.TB) string {
	t.Helper()
	path := "/usr/sbin/mosquitto" // Debian's, not on an ordinary user's PATH
	if _, err := os.Stat(path); err != nil {
		if path, err = exec.LookPath("mosquitto"); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatalf("%v; scripts/setup-test.sh installs it", err)
			}
			t.Skipf("%v; scripts/setup-test.sh installs it", err)
		}
	}
	addr := testkit.FreeAddr(t)
	_, port, _ := net.SplitHostPort(addr)
	cmd := exec.Command(path, "-p", port)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); ; <-tick.C {
		c, err := net.Dial("tcp4", addr)
		if err == nil {
			_ = c.Close()
			return "mqtt://" + addr
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}
