package e2e_test

import (
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"edgeloop/internal/testkit"
)

// An address that fails again and again to prove who it is is kept out at the accept, for
// longer each time, also over a restart. Others are not, and an operator can let it in.
func TestAddressBans_GrowAndAreKept(t *testing.T) {
	t.Parallel()
	const bad = "127.0.0.5"
	n := start(t, "--ban-failures=3", "--ban-window=1h", "--trusted-proxies=127.0.0.6")
	failUntilBanned := func() {
		t.Helper()
		testkit.Eventually(t, patience, "a ban to begin", func() bool { return n.comeFrom(bad) == 0 })
	}
	for i := range 3 {
		if got := n.comeFrom(bad); got != http.StatusUnauthorized {
			t.Fatalf("failure %d is answered %d", i, got)
		}
	}
	failUntilBanned()
	n.logged("address is kept out", bad, `"dur": "1s"`)
	testkit.Eventually(t, patience, "the ban to end", func() bool { return n.comeFrom(bad) == http.StatusUnauthorized })
	failUntilBanned()
	// A ban of a second is over before it is seen where the machine stands still.
	testkit.Eventually(t, patience, "a second ban to be counted", func() bool { return n.metric("edgeloop_doorman_bans_total", "") >= 2 })
	for range 10 {
		if got := n.comeFrom("127.0.0.6"); got != http.StatusUnauthorized {
			t.Fatalf("a proxy, which stands for many, is answered %d", got)
		}
	}
	if status := n.knock(n.token("d1")); status != http.StatusSwitchingProtocols {
		t.Errorf("a device from elsewhere is answered %d", status)
	}
	n.stop()
	n.boot()
	for range 3 {
		testkit.Eventually(t, patience, "the ban to end", func() bool { return n.comeFrom(bad) == http.StatusUnauthorized })
	}
	failUntilBanned()
	n.logged("address is kept out", bad)
	if first := regexp.MustCompile(`"dur": "[^"]*"`).FindString(n.log.String()); first == `"dur": "1s"` || first == `"dur": "2s"` {
		t.Errorf("the first ban after a restart has %s, want 4 s or more", first)
	}
	if out := n.tool("bans", "--addresses"); !strings.Contains(out, bad) && n.comeFrom(bad) == 0 {
		t.Errorf("it is banned, and listed is %s", out)
	}
	testkit.Eventually(t, patience, "the ban to be lifted", func() bool {
		if n.comeFrom(bad) != 0 { // it was over by itself
			return false
		}
		status, _ := n.api(http.MethodDelete, "/v1/address-bans/"+bad, nil)
		return status == http.StatusNoContent
	})
	if got := n.comeFrom(bad); got != http.StatusUnauthorized {
		t.Errorf("with its ban lifted it is answered %d", got)
	}
	if left, _ := filepath.Glob(filepath.Join(n.dir, "address-bans.json")); len(left) != 1 {
		t.Error("the bans were not written down")
	}
}
