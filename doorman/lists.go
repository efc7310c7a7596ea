package doorman

import (
	"bufio"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"github.com/gaissmai/bart"
)

const (
	// MaxPrefixes is how many prefixes both lists may have together.
	MaxPrefixes = 1_000_000
	// maxLine bounds one line of a file, bytes.
	maxLine = 1024
)

// Lists are the networks that may come and those that may not. Never changed: new ones
// take their place.
//
// Of all prefixes that an address is in the longest decides, whichever list it is of; a
// prefix that is in both is denied. An address that is in none may come, unless there is a
// list of those that may.
type Lists struct {
	allowed       bart.Table[bool]
	allow, deny   int  // how many prefixes each has
	onlyTheListed bool // there is a list of those that may
}

// ReadLists reads the files; "" for one that there is not. A line is a prefix or an
// address, of IPv4 or IPv6; what follows a # is a comment.
func ReadLists(allowFile, denyFile string) (*Lists, error) {
	l := &Lists{onlyTheListed: allowFile != ""}
	var err error
	if allowFile != "" {
		if l.allow, err = l.read(allowFile, true); err != nil {
			return nil, err
		}
		if l.allow == 0 {
			return nil, fmt.Errorf("%s has no prefix, so nobody could connect: give at least one; 0.0.0.0/0 and ::/0 let everybody in", allowFile)
		}
	}
	if denyFile != "" {
		if l.deny, err = l.read(denyFile, false); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// read adds the prefixes of a file. Denied ones are read last, and so replace the same
// among the allowed.
func (l *Lists) read(name string, allowed bool) (n int, err error) {
	f, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	in := bufio.NewScanner(f)
	in.Buffer(make([]byte, 0, maxLine), maxLine)
	line := 0
	for in.Scan() {
		line++
		text, _, _ := strings.Cut(in.Text(), "#")
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		p, err := ParsePrefix(text)
		if err != nil {
			return 0, fmt.Errorf("%s, line %d: %w", name, line, err)
		}
		if n++; n+l.allow > MaxPrefixes {
			return 0, fmt.Errorf("%s, line %d: more than %d prefixes: leave those out that a shorter one has", name, line, MaxPrefixes)
		}
		l.allowed.Insert(p, allowed)
	}
	if err := in.Err(); err != nil {
		return 0, fmt.Errorf("%s, line %d: %w", name, line+1, err)
	}
	return n, nil
}

// ParsePrefix reads a network, or a lone address. One of IPv4 that is written in IPv6 is one
// of IPv4.
func ParsePrefix(text string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	if addr, bad := netip.ParseAddr(text); err != nil && bad == nil {
		p, err = addr.WithZone("").Prefix(addr.BitLen())
		if addr.Zone() != "" {
			err = fmt.Errorf("%s has a zone", text)
		}
	}
	if err != nil {
		return p, fmt.Errorf("%.64s is no network: give addresses like 10.1.2.3 or networks like 10.0.0.0/8 or 2001:db8::/32", text)
	}
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	if p != p.Masked() {
		return p, fmt.Errorf("%s has bits behind its length: give %s", text, p.Masked())
	}
	return p, nil
}

// Denies says whether a peer with this address may not come. Any goroutine.
func (l *Lists) Denies(addr netip.Addr) bool {
	if l == nil {
		return false
	}
	allowed, listed := l.allowed.Lookup(addr.Unmap().WithZone(""))
	if !listed {
		return l.onlyTheListed
	}
	return !allowed
}

// Len is how many prefixes the lists have.
func (l *Lists) Len() (allow, deny int) {
	if l == nil {
		return 0, 0
	}
	return l.allow, l.deny
}
