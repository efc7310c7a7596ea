package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// addresses is what a node writes down for those who look for it.
type addresses struct {
	Listen    string   `json:"listen"` // the first of Listeners
	Listeners []string `json:"listeners"`
	TLS       string   `json:"tls,omitempty"`  // the first of them that speaks WebSocket by TLS
	MQTT      string   `json:"mqtt,omitempty"` // the first of them that speaks MQTT without TLS
	Admin     string   `json:"admin"`
	AdminCert string   `json:"admin_cert,omitempty"` // file of its certificate, where it speaks TLS
	GRPC      string   `json:"grpc,omitempty"`
	Health    string   `json:"health,omitempty"` // where probes are answered, without TLS
	PID       int      `json:"pid"`
	// Where these addresses mean this node: see place.
	Boot    string `json:"boot,omitempty"`
	Network string `json:"network,omitempty"`
}

// adminURL is where the admin API is.
func (a *addresses) adminURL() string {
	if a.AdminCert != "" {
		return "https://" + a.Admin
	}
	return "http://" + a.Admin
}

// healthURL is where probes are answered that have a listener of their own.
func (a *addresses) healthURL() string { return "http://" + a.Health }

// addressFile is where a node writes its addresses.
func addressFile(dataDir string) string { return filepath.Join(dataDir, "node.json") }

// errNoLocks says that write has written a file that tools will not believe.
var errNoLocks = errors.New("its file system has no locks")

// write replaces the file at path, whole or not at all, and locks it (flock(2)) until held is
// closed or the process ends, however it does: see readAddresses. With errNoLocks there is a file
// and no lock.
func (a addresses) write(path string) (held *os.File, err error) {
	out, err := json.Marshal(a)
	if err != nil {
		return nil, err
	}
	tmp := path + ".tmp"
	held, err = os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	var lockless error
	if err := unix.Flock(int(held.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lockless = fmt.Errorf("%w: %w", errNoLocks, err)
	}
	if _, err = held.Write(append(out, '\n')); err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		return nil, errors.Join(err, held.Close())
	}
	return held, lockless
}

// unlock undoes write's lock, also where a child has it that was forked and has not begun its
// program.
func unlock(held *os.File) error {
	return errors.Join(unix.Flock(int(held.Fd()), unix.LOCK_UN), held.Close())
}

// place is where an address of this process means what it does: which network of which start of
// which machine. What cannot be found out is "".
func place() (boot, network string) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err == nil {
		boot = strings.TrimSpace(string(id))
	}
	network, _ = os.Readlink("/proc/self/ns/net")
	return boot, network
}

// here says whether the addresses mean the same to this process as to who has written them.
func (a *addresses) here() bool {
	boot, network := place()
	same := func(theirs, ours string) bool { return theirs == ours || theirs == "" || ours == "" }
	return same(a.Boot, boot) && same(a.Network, network)
}

// readAddresses reads where the node of a data directory listens: *nowhere, perhaps with what was
// written, where it does not, or not here. A node that was killed leaves the file, and anybody
// may listen at its address afterwards; so the file counts while the node has it locked. A PID
// would not do: it may be another process's by now, and is so in every other container.
func readAddresses(dataDir string) (a addresses, err error) {
	f, err := os.Open(addressFile(dataDir))
	if errors.Is(err, fs.ErrNotExist) {
		return a, &nowhere{gone: true, text: fmt.Sprintf("no node runs with --data-dir=%s, or it is still starting: start it, name the data directory of one that runs, or give --admin-url", dataDir)}
	}
	if err != nil {
		return a, err
	}
	defer f.Close()
	if err := json.NewDecoder(io.LimitReader(f, 1<<20)).Decode(&a); err != nil {
		return a, fmt.Errorf("%s: %w", addressFile(dataDir), err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB)
	switch {
	case err == nil: // closing lets go of it
		return a, &nowhere{gone: true, text: fmt.Sprintf("no node runs with --data-dir=%s, or it is still starting: that of %s, process %d, has ended without removing the file, and who listens at %s now may be somebody else; start it, name the data directory of one that runs, or give --admin-url", dataDir, addressFile(dataDir), a.PID, a.Admin)}
	case !errors.Is(err, unix.EWOULDBLOCK):
		return a, &nowhere{text: fmt.Sprintf("whether a node runs with --data-dir=%s cannot be seen, as its file system has no locks (%v): give --admin-url", dataDir, err)}
	case !a.here():
		return a, &nowhere{text: fmt.Sprintf("the node of --data-dir=%s runs in another network, of a container or of another machine, where %s is its address: run this there, as with docker exec, or give --admin-url with an address that leads there", dataDir, a.Admin)}
	}
	return a, nil
}

// nowhere is why the addresses of a data directory lead to no node.
type nowhere struct {
	gone bool // there is none; else it is not known, or not within reach
	text string
}

func (n *nowhere) Error() string { return n.text }

// known sends requests to the node of a data directory alone, and to nobody once it is not there
// any more: a tail that is followed, or a drain that is waited for, asks again and again.
type known struct {
	// Immutable after construction.
	dataDir string
	url     string // of the node when it was looked for; "": there was none
	over    http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (k *known) RoundTrip(req *http.Request) (*http.Response, error) {
	at, err := readAddresses(k.dataDir)
	if err == nil && at.adminURL() != k.url {
		err = &nowhere{text: fmt.Sprintf("the node of --data-dir=%s has started anew, at %s: run this again", k.dataDir, at.Admin)}
	}
	if err == nil {
		return k.over.RoundTrip(req)
	}
	if req.Body != nil {
		_ = req.Body.Close() // as http.RoundTripper wants it
	}
	return nil, err
}
