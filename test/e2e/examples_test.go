package e2e_test

import (
	"bufio"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"edgeloop/internal/testkit"
)

// example is one of the programs in examples, running.
type example struct {
	addr  string
	stdin io.WriteCloser
	lines chan string // of its standard output
}

// startExample builds and runs examples/NAME and waits until it listens.
func startExample(t *testing.T, name string) *example {
	t.Helper()
	bin := filepath.Join(t.TempDir(), name)
	if out, err := exec.Command("go", "build", "-o", bin, "edgeloop/examples/"+name).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	x := &example{addr: freeAddr(t), lines: make(chan string, 100)}
	cmd := exec.Command(bin, "-listen", x.addr)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if x.stdin, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			x.lines <- lines.Text()
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended by itself
		<-read
		_ = cmd.Wait() // killed: its exit says nothing
	})
	waitListening(t, x.addr)
	return x
}

func (x *example) wantLine(t *testing.T, want string) {
	t.Helper()
	if line := testkit.Receive(t, patience, "a line of the example", x.lines); !strings.Contains(line, want) {
		t.Errorf("the example printed %q, want %q", line, want)
	}
}

// The examples do what their first lines say.
func TestExamples_Echo(t *testing.T) {
	t.Parallel()
	x := startExample(t, "echo")
	d := startClient(t, "python").dial(order{URL: "ws://" + x.addr + "/"})
	d.want("open")
	d.sendText("hello")
	if e := d.want("text"); e.Data != "hello" {
		t.Errorf("the echo of hello is %q", e.Data)
	}
	d.close()
}

func TestExamples_Telemetry(t *testing.T) {
	t.Parallel()
	x := startExample(t, "telemetry")
	d := startClient(t, "node").dial(order{URL: "ws://" + x.addr + "/", Protocols: []string{"edgeloop.v1.json"}})
	d.want("open")
	d.wantMessage("welcome")
	d.send(message{"type": "telemetry", "seq": 1, "topic": "temp", "data": 21.5})
	d.wantAck(1)
	x.wantLine(t, "telemetry temp 21.5")
	d.sendText("{")
	d.wantMessage("error")
	d.close()
}

func TestExamples_Command(t *testing.T) {
	t.Parallel()
	x := startExample(t, "command")
	d := startClient(t, "python").dial(order{URL: "ws://" + x.addr + "/lamp"})
	d.want("open")
	x.wantLine(t, "lamp connected")
	if _, err := io.WriteString(x.stdin, "lamp on\nfan off\n"); err != nil {
		t.Fatal(err)
	}
	if e := d.want("text"); e.Data != "on" {
		t.Errorf("the lamp got %q", e.Data)
	}
	x.wantLine(t, "fan was never here")
	d.close()
	x.wantLine(t, "lamp left")
}
