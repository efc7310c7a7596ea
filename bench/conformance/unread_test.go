package conformance_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// unread asks the kernel how much of what a client sent the node has not read,
// so that a cut between two writes is one for the node too.
type unread struct{ fd int }

func newUnread() (*unread, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return nil, fmt.Errorf("no socket diagnosis: %w", err)
	}
	return &unread{fd}, nil
}

func (u *unread) close() { _ = unix.Close(u.fd) }

// The message of sock_diag(7): a netlink header, inet_diag_req_v2 with an
// inet_diag_sockid in it; and inet_diag_msg as the answer.
const (
	nlHeader       = 16
	requestSize    = 56
	byFamily       = 20 // SOCK_DIAG_BY_FAMILY
	sockidAt       = 8
	answerQueueAt  = nlHeader + 4 + 48 + 4
	noCookie       = 0xffffffff
	askAgain       = 50 * time.Microsecond
	unreadDeadline = time.Minute
)

var errUnread = errors.New("the node does not read")

// wait returns when the node has read everything, or has closed.
func (u *unread) wait(client *net.TCPConn) error {
	local, remote := client.LocalAddr().(*net.TCPAddr), client.RemoteAddr().(*net.TCPAddr)
	req := make([]byte, nlHeader+requestSize)
	binary.NativeEndian.PutUint32(req, uint32(len(req)))
	binary.NativeEndian.PutUint16(req[4:], byFamily)
	binary.NativeEndian.PutUint16(req[6:], unix.NLM_F_REQUEST)
	b := req[nlHeader:]
	b[0], b[1] = unix.AF_INET, unix.IPPROTO_TCP
	binary.NativeEndian.PutUint32(b[4:], noCookie) // every state
	id := b[sockidAt:]                             // the node's socket: its ends are ours, swapped
	binary.BigEndian.PutUint16(id, uint16(remote.Port))
	binary.BigEndian.PutUint16(id[2:], uint16(local.Port))
	copy(id[4:], remote.IP.To4())
	copy(id[20:], local.IP.To4())
	binary.NativeEndian.PutUint32(id[40:], noCookie)
	binary.NativeEndian.PutUint32(id[44:], noCookie)

	answer := make([]byte, 4096)
	again := time.NewTicker(askAgain)
	defer again.Stop()
	for deadline := time.Now().Add(unreadDeadline); time.Now().Before(deadline); <-again.C {
		if err := unix.Sendto(u.fd, req, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
			return fmt.Errorf("socket diagnosis: %w", err)
		}
		n, _, err := unix.Recvfrom(u.fd, answer, 0)
		if err != nil {
			return fmt.Errorf("socket diagnosis: %w", err)
		}
		if n < answerQueueAt+4 || binary.NativeEndian.Uint16(answer[4:]) != byFamily {
			return nil // no such socket any more
		}
		if binary.NativeEndian.Uint32(answer[answerQueueAt:]) == 0 {
			return nil
		}
	}
	return errUnread
}
