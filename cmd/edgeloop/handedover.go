package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/coreos/go-systemd/v22/activation"
	"golang.org/x/sys/unix"
)

// handedOver are the sockets that the service manager listens on for the node
// (sd_listen_fds(3)), each for the door of its address. They stay open for as long as the
// process runs.
type handedOver []handed

type handed struct {
	file *os.File
	addr netip.AddrPort
}

// takeHandedOver takes what was handed over, and refuses what no door is for: devices would
// wait there for ever.
func takeHandedOver(doors []door) (all handedOver, err error) {
	for _, f := range activation.Files(true) {
		at, err := listensAt(f)
		if err != nil {
			return nil, fmt.Errorf("socket %s of the service manager: %w: give it ListenStream= with an address of TCP", f.Name(), err)
		}
		all = append(all, handed{f, at})
	}
	for _, h := range all {
		if !slices.ContainsFunc(doors, func(d door) bool { return h.isFor(d.addr) }) {
			var known []string
			for _, d := range doors {
				known = append(known, d.flag+"="+d.addr)
			}
			return nil, fmt.Errorf("the service manager listens on %s, which is no address of this node (%s): give ListenStream= of the socket unit and the flag the same", h.addr, strings.Join(known, ", "))
		}
	}
	return all, nil
}

// listensAt is the address of a socket that listens.
func listensAt(f *os.File) (netip.AddrPort, error) {
	fd := int(f.Fd())
	listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil || listens == 0 {
		return netip.AddrPort{}, fmt.Errorf("it does not listen (%v)", err) //nolint:errorlint // one of two causes
	}
	ln, err := net.FileListener(f)
	if err != nil {
		return netip.AddrPort{}, err //nolint:wrapcheck // the caller says of what
	}
	defer ln.Close()
	tcp, is := ln.Addr().(*net.TCPAddr)
	if !is {
		return netip.AddrPort{}, fmt.Errorf("it is of %s", ln.Addr().Network())
	}
	at := tcp.AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port()), nil
}

// isFor says whether addr is what the socket listens on.
func (h *handed) isFor(addr string) bool {
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil || tcp.Port != int(h.addr.Port()) {
		return false
	}
	ip, _ := netip.AddrFromSlice(tcp.IP)
	everywhere := !ip.IsValid() || ip.IsUnspecified()
	return ip.Unmap() == h.addr.Addr() || everywhere && h.addr.Addr().IsUnspecified()
}

// descriptor is that of the socket for addr, 0 without one.
func (all handedOver) descriptor(addr string) int {
	for i := range all {
		if all[i].isFor(addr) {
			return int(all[i].file.Fd())
		}
	}
	return 0
}
