package doorman_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"edgeloop/doorman"
)

// write makes a file of lines.
func write(t testing.TB, name string, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Of all prefixes the longest decides, a denied one before the same that is allowed.
func TestLists_Denies(t *testing.T) {
	allow := []string{"# those of ours", "10.0.0.0/8  # the whole", "", "10.1.2.3", "192.0.2.0/24", "2001:db8::/32", "::ffff:198.51.100.0/120"}
	deny := []string{"10.1.0.0/16", "192.0.2.0/24", "2001:db8:1::/48", "203.0.113.0/24"}
	for _, c := range []struct {
		name            string
		allow, deny     []string
		come, stayAway  []string
		allowed, denied int
	}{
		{
			"both", allow, deny,
			[]string{"10.2.0.1", "10.1.2.3", "2001:db8:2::1", "::ffff:10.2.0.1", "198.51.100.7"},
			[]string{"10.1.2.4", "192.0.2.1", "2001:db8:1::1", "203.0.113.9", "8.8.8.8", "::ffff:10.1.2.4", "::1"},
			5, 4,
		},
		{
			"denied alone", nil, deny,
			[]string{"10.2.0.1", "8.8.8.8", "::1"},
			[]string{"10.1.2.3", "192.0.2.1", "2001:db8:1::1", "::ffff:203.0.113.9"},
			0, 4,
		},
		{"allowed alone", allow, nil, []string{"10.1.2.4", "192.0.2.1"}, []string{"8.8.8.8", "::1"}, 5, 0},
		{"all but some", []string{"10.0.0.0/8"}, []string{"0.0.0.0/0", "::/0"}, []string{"10.1.2.4"}, []string{"8.8.8.8", "::1"}, 1, 2},
	} {
		var allowFile, denyFile string
		if c.allow != nil {
			allowFile = write(t, "allow", c.allow...)
		}
		if c.deny != nil {
			denyFile = write(t, "deny", c.deny...)
		}
		l, err := doorman.ReadLists(allowFile, denyFile)
		if err != nil {
			t.Fatal(err)
		}
		if a, d := l.Len(); a != c.allowed || d != c.denied {
			t.Errorf("%s: %d and %d prefixes, want %d and %d", c.name, a, d, c.allowed, c.denied)
		}
		for _, addr := range c.come {
			if l.Denies(netip.MustParseAddr(addr)) {
				t.Errorf("%s: %s may not come", c.name, addr)
			}
		}
		for _, addr := range c.stayAway {
			if !l.Denies(netip.MustParseAddr(addr)) {
				t.Errorf("%s: %s may come", c.name, addr)
			}
		}
	}
}

// A mistake is named with its file and line, and what would be right.
func TestReadLists_Mistakes(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{"10.0.0.0/33", "line 3: 10.0.0.0/33 is no network"},
		{"10.1.0.0/8", "line 3: 10.1.0.0/8 has bits behind its length: give 10.0.0.0/8"},
		{"example.com", "line 3: example.com is no network"},
		{"10.0.0.0/8, 11.0.0.0/8", "is no network"},
		{"fe80::1%eth0", "is no network"},
		{strings.Repeat("1", 2000), "line 3: "},
	} {
		file := write(t, "deny", "# first", "10.0.0.0/8", c.line)
		_, err := doorman.ReadLists("", file)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), file) {
			t.Errorf("%.30s: %v, want %s", c.line, err, c.want)
		}
	}
	if _, err := doorman.ReadLists(write(t, "allow", "# nobody"), ""); err == nil || !strings.Contains(err.Error(), "nobody could connect") {
		t.Errorf("a list of nobody: %v", err)
	}
	if _, err := doorman.ReadLists("", filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a file that is not there was read")
	}
	if _, err := doorman.ReadLists("", write(t, "deny")); err != nil {
		t.Errorf("an empty list of who may not come: %v", err)
	}
}

// The event loops ask for each newcomer: it costs them no memory.
func TestAllocs_Lists(t *testing.T) {
	l, err := doorman.ReadLists("", write(t, "deny", "10.0.0.0/8"))
	if err != nil {
		t.Fatal(err)
	}
	addr := netip.MustParseAddr("::ffff:10.1.2.3")
	if n := testing.AllocsPerRun(100, func() { l.Denies(addr) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

// A hundred thousand prefixes cost a newcomer what one does.
func BenchmarkLists_Denies(b *testing.B) {
	for _, n := range []int{1, 100_000} {
		b.Run(fmt.Sprintf("prefixes=%d", n), func(b *testing.B) {
			random := rand.New(rand.NewPCG(1, 2))
			lines := make([]string, n)
			for i := range lines {
				p := netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(random.Uint32()), byte(random.Uint32()), byte(random.Uint32()), 0}), 16+random.IntN(9))
				lines[i] = p.Masked().String()
			}
			l, err := doorman.ReadLists("", write(b, "deny", lines...))
			if err != nil {
				b.Fatal(err)
			}
			addrs := make([]netip.Addr, 1024)
			for i := range addrs {
				addrs[i] = netip.AddrFrom4([4]byte{byte(random.Uint32()), byte(random.Uint32()), byte(random.Uint32()), byte(random.Uint32())})
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				l.Denies(addrs[i&1023])
				i++
			}
		})
	}
}
