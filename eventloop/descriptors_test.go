package eventloop_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"edgeloop/eventloop"
	"edgeloop/internal/testkit"
)

const childEnv = "EDGELOOP_TEST_DESCRIPTORS"

// childMain is an echo node with as many descriptors as the environment says.
// It prints its addresses, then answers "stats", "hog" (it opens files until it
// cannot) and "free" on its standard input, and stops at the end of it.
func childMain() int {
	limit, err := strconv.ParseUint(os.Getenv(childEnv), 10, 64)
	if err != nil {
		return 2
	}
	srv, err := eventloop.New(eventloop.Config{Listeners: two, Loops: 2, HandshakeTimeout: time.Hour}, echoing())
	if err != nil {
		return 2
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: limit, Max: limit}); err != nil {
		return 2
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Run() }()
	<-srv.Booted()
	fmt.Println(srv.Addrs()[0], srv.Addrs()[1])
	var hogs []*os.File
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		switch lines.Text() {
		case "stats":
			_ = json.NewEncoder(os.Stdout).Encode(srv.Stats())
		case "hog":
			for {
				f, err := os.Open("/dev/null")
				if err != nil {
					break
				}
				hogs = append(hogs, f)
			}
			fmt.Println(len(hogs))
		case "free":
			for _, f := range hogs {
				f.Close()
			}
			hogs = nil
			fmt.Println("free")
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if srv.Stop(ctx) != nil || <-ended != nil {
		return 1
	}
	return 0
}

// A child is a node in a process of its own.
type child struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func startChild(t *testing.T, descriptors int) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+strconv.Itoa(descriptors))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return &child{t: t, cmd: cmd, in: in, out: bufio.NewReader(out)}
}

// say writes a line and returns the answer to it.
func (c *child) say(line string) string {
	c.t.Helper()
	if _, err := io.WriteString(c.in, line+"\n"); err != nil {
		c.t.Fatal(err)
	}
	return c.line()
}

func (c *child) line() string {
	c.t.Helper()
	answer, err := c.out.ReadString('\n')
	if err != nil {
		c.t.Fatalf("the node is gone: %v", err)
	}
	return strings.TrimSpace(answer)
}

func (c *child) stats() (st eventloop.Stats) {
	c.t.Helper()
	if err := json.Unmarshal([]byte(c.say("stats")), &st); err != nil {
		c.t.Fatal(err)
	}
	return st
}

// end stops the node in order.
func (c *child) end() {
	c.t.Helper()
	c.in.Close()
	if err := c.cmd.Wait(); err != nil {
		c.t.Errorf("the node ended with %v", err)
	}
}

// Newcomers use up the last descriptor of a node, and later somebody else on
// the machine does. accept fails, which would be the end of gnet and of every
// connected device. Not one of them is dropped, and when there are descriptors
// again newcomers are served, at each listener.
func TestDescriptors_Exhausted(t *testing.T) {
	const limit, devices = 128, 30
	c := startChild(t, limit)
	addrs, dials := strings.Fields(c.line()), 0
	dial := func() *dialogue {
		dials++
		conn, err := net.DialTimeout("tcp", addrs[dials%len(addrs)], patience)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return &dialogue{t: t, conn: conn.(*net.TCPConn), r: bufio.NewReader(conn)}
	}
	var here []*dialogue
	// join connects as a device does: again, if it was not served.
	join := func() {
		t.Helper()
		testkit.Eventually(t, patience, "a newcomer to be served", func() bool {
			d := dial()
			d.raw([]byte(request))
			d.patient()
			if _, err := d.r.Peek(1); err != nil {
				d.conn.Close()
				return false
			}
			d.wantSwitch()
			here = append(here, d)
			return true
		})
	}
	allHere := func() {
		t.Helper()
		for i, d := range here {
			msg := text(fmt.Sprintf("device %d", i))
			d.send(msg)
			d.want(msg)
		}
	}
	for range devices {
		join()
	}

	var flood []*dialogue
	for range 2 * limit {
		flood = append(flood, dial()) // those beyond the limit wait in the backlog
	}
	testkit.Eventually(t, patience, "accept to fail", func() bool { return c.stats().AcceptFailures > 0 })
	allHere()
	for _, d := range flood {
		d.conn.Close()
	}
	for range devices {
		join()
	}
	allHere()

	hogs, err := strconv.Atoi(c.say("hog"))
	if err != nil || hogs == 0 {
		t.Fatalf("hogs: %d, %v", hogs, err)
	}
	late := dial()
	late.raw([]byte(request))
	allHere()
	c.say("free")
	join() // the late one may have been accepted and let go for want of a second descriptor
	allHere()
	if st := c.stats(); st.Gone[eventloop.CausePeerGone] > uint64(len(flood)) || st.Open < int64(len(here)) {
		t.Errorf("%d open of %d, ended: %s", st.Open, len(here), causes(st))
	}
	c.end()
}
