package conformance_test

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

var full = flag.Bool("conformance.full", false, "as many and as large messages as the public suite has, and every cut")

// The two nodes that all cases speak to: one without, one with compression; and what they are.
var plainAddr, deflateAddr, program string

func TestMain(m *testing.M) {
	flag.Parse()
	code, err := withNodes(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// withNodes builds the program and runs it while run does.
func withNodes(run func() int) (int, error) {
	dir, err := os.MkdirTemp("", "conformance")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	program = os.Getenv(programEnv)
	if program == "" {
		program = filepath.Join(dir, "edgeloop")
		if out, err := exec.Command("go", "build", "-o", program, "edgeloop/cmd/edgeloop").CombinedOutput(); err != nil {
			return 1, fmt.Errorf("build: %w\n%s", err, out)
		}
	}
	secure, err := secured(dir)
	if err != nil {
		return 1, err
	}
	var ends []func() error
	for _, n := range []struct {
		addr *string
		args []string
	}{
		{&plainAddr, nil},
		{&deflateAddr, []string{"--compression"}},
	} {
		end, err := startNode(program, n.addr, append(n.args, secure...)...)
		if err != nil {
			return 1, err
		}
		ends = append(ends, end)
	}
	code := run()
	fmt.Printf("%d dialogues\n", played.Load())
	for _, end := range ends {
		if err := end(); err != nil {
			return 1, fmt.Errorf("the node did not end in order: %w", err)
		}
	}
	return code, nil
}

func startNode(program string, addr *string, args ...string) (end func() error, err error) {
	cmd := exec.Command(program, append([]string{"echo", "--listen=127.0.0.1:0"}, args...)...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // also if these tests are killed
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("the node says nothing: %w", err)
	}
	*addr = strings.TrimSpace(line[strings.LastIndex(line, " "):])
	return func() error {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			return err
		}
		return cmd.Wait()
	}, nil
}
