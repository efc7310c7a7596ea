package fleet

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// perSource is how many connections one source address carries to one server:
// a small part of the ephemeral ports, because the kernel tries ports one after
// another and a full address made one connect cost 100 µs of search.
func perSource() int {
	low, high := 32768, 60999
	if b, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		if _, err := fmt.Sscan(string(b), &low, &high); err != nil {
			low, high = 32768, 60999
		}
	}
	return max(1, (high-low+1)/8)
}

// sourceOf is the loopback address that device number n connects from:
// 127.0.0.1 for the first perSource devices, then 127.0.0.2 and so on.
func sourceOf(n, perSource int) [4]byte {
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], 127<<24+uint32(n/perSource)+1)
	return a
}

// dial begins a connection. The port is chosen at connect and not at bind, so
// that each source address offers all ephemeral ports again for each server.
func dial(to netip.AddrPort, number, perSource, receiveBuffer int) (fd int, err error) {
	v4 := to.Addr().Is4()
	family := unix.AF_INET6
	if v4 {
		family = unix.AF_INET
	}
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	defer func() {
		if err != nil {
			_ = unix.Close(fd)
		}
	}()
	if err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return -1, err
	}
	if receiveBuffer > 0 {
		if err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer); err != nil {
			return -1, err
		}
	}
	if v4 && to.Addr().IsLoopback() {
		if err = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
			return -1, err
		}
		if err = unix.Bind(fd, &unix.SockaddrInet4{Addr: sourceOf(number, perSource)}); err != nil {
			return -1, err
		}
	}
	var sa unix.Sockaddr = &unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()}
	if v4 {
		sa = &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}
	}
	if err = unix.Connect(fd, sa); err != nil && err != unix.EINPROGRESS {
		return -1, err
	}
	return fd, nil
}

// reset makes close send RST, so that nothing lingers in TIME_WAIT.
func reset(fd int) {
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
}
