package e2e_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"edgeloop/internal/testkit"
)

// Mosquitto's clients go through what the libraries of TestMQTTMatrix do, with each version over
// TCP and TLS: those of Debian speak no WebSocket.
func TestMQTTMatrix_Mosquitto(t *testing.T) {
	t.Parallel()
	_, err := exec.LookPath("mosquitto_pub")
	need(t, "mosquitto_pub", err == nil)
	n := newMatrixNode(t)
	other := n.token("somebody-else")
	for _, c := range []matrixCase{{version: 4, transport: "mqtt"}, {version: 4, transport: "mqtts", short: true}, {version: 5, transport: "mqtt", short: true}, {version: 5, transport: "mqtts"}} {
		if !c.short && os.Getenv(mqttClientsEnv) == "" {
			continue
		}
		t.Run(fmt.Sprint(c.version, " ", c.transport), func(t *testing.T) {
			t.Parallel()
			s := &mosquittoStory{matrixStory{t: t, n: n, c: c, device: fmt.Sprintf("mosquitto-%d-%s", c.version, c.transport), other: other}}
			s.token = n.token(s.device)
			for _, part := range []struct {
				name string
				tell func(s *mosquittoStory)
			}{
				{"qos", (*mosquittoStory).qos},
				{"will", (*mosquittoStory).will},
				{"session", (*mosquittoStory).session},
				{"takeover", (*mosquittoStory).takeover},
				{"silent", (*mosquittoStory).silent},
				{"oversize", (*mosquittoStory).oversize},
				{"refused", (*mosquittoStory).refused},
				{"share", (*mosquittoStory).share},
				{"retained", (*mosquittoStory).retained},
			} {
				s.name, s.tap = part.name, newTap(t, n.doors[c.transport])
				part.tell(s)
				testkit.Eventually(t, patience, "the client to be gone after "+s.name, func() bool { return !n.online(s.device) })
			}
			s.inTheLog()
		})
	}
}

// mosquittoStory is what Mosquitto's clients go through as one device.
type mosquittoStory struct{ matrixStory }

// command is a client, which says at once what it does.
func (s *mosquittoStory) command(tool, id, user, token string, args ...string) *exec.Cmd {
	all := []string{"-oL", tool, "-d", "-i", id, "-u", user, "-P", token, "-V", map[int]string{4: "mqttv311", 5: "mqttv5"}[s.c.version]}
	if s.c.transport == "mqtts" {
		all = append(all, "--cafile", s.n.ca.File)
	}
	host, port, _ := strings.Cut(s.tap.addr, ":")
	ctx, cancel := context.WithTimeout(context.Background(), 5*patience)
	s.t.Cleanup(cancel)
	return exec.CommandContext(ctx, "stdbuf", append(append(all, "-h", host, "-p", port), args...)...)
}

// publishes has mosquitto_pub carry out one thing.
func (s *mosquittoStory) publishes(token string, args ...string) (out string, err error) {
	b, err := s.command("mosquitto_pub", s.device, "any", token, args...).CombinedOutput()
	return string(b), err
}

func (s *mosquittoStory) published(args ...string) {
	s.t.Helper()
	if out, err := s.publishes(s.token, args...); err != nil {
		s.t.Errorf("%s: %v: %s", s.name, err, out)
	}
}

// hears is a mosquitto_sub that has subscribed to commands.
func (s *mosquittoStory) hears(args ...string) (cmd *exec.Cmd, lines <-chan string) {
	s.t.Helper()
	cmd = s.hearing(args...)
	lines = linesOf(s.t, cmd)
	awaitLine(s.t, lines, "Subscribed")
	return cmd, lines
}

func (s *mosquittoStory) hearing(args ...string) *exec.Cmd {
	return s.command("mosquitto_sub", s.device, "any", s.token, append(args, "-t", "$edgeloop/command/#", "-F", "got %t %q")...)
}

func (s *mosquittoStory) qos() {
	for qos := range 3 {
		s.published("-q", fmt.Sprint(qos), "-t", "qos", "-m", fmt.Sprint(qos))
		s.stored = append(s.stored, fmt.Sprint("qos ", qos))
	}
}

func (s *mosquittoStory) will() {
	cmd, _ := s.hears("--will-topic", "gone", "--will-payload", `"will"`, "--will-qos", "1")
	_ = cmd.Process.Kill()
	s.stored = append(s.stored, `gone "will"`)
}

func (s *mosquittoStory) session() {
	kept := []string{"-c", "-q", "1"}
	if s.c.version == 5 {
		kept = append(kept, "-x", "600")
	}
	cmd, _ := s.hears(kept...)
	_ = cmd.Process.Kill()
	testkit.Eventually(s.t, patience, "the device to be offline", func() bool { return !s.n.online(s.device) })
	s.n.left(s.device, "open")
	cmd = s.hearing(kept...)
	if line := awaitLine(s.t, linesOf(s.t, cmd), "got $edgeloop/command/"); !strings.HasSuffix(line, "/open 1") { // before SUBACK
		s.t.Errorf("session: a command as %s", line)
	}
	testkit.Eventually(s.t, patience, "what is confirmed not to wait", func() bool { return s.n.waiting(s.device) == 0 })
	_ = cmd.Process.Kill()
}

// The older client of 3.1.1 comes again a second after its end, and may end the newer one before it
// is killed: that one then comes again too, and sends again what had no PUBACK.
func (s *mosquittoStory) takeover() {
	older, lines := s.hears()
	newer := s.command("mosquitto_pub", s.device, "any", s.token, "-q", "1", "-t", "taken", "-l")
	in, err := newer.StdinPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	says := linesOf(s.t, newer)
	awaitLine(s.t, says, "Client "+s.device+" received CONNACK (0)")
	why := "Client " + s.device + " sending CONNECT" // again; 3.1.1 has only the end
	if s.c.version == 5 {
		why = "Received DISCONNECT (142)"
	}
	awaitLine(s.t, lines, why)
	_ = older.Process.Kill()
	fmt.Fprintln(in, "1")
	awaitLine(s.t, says, "Client "+s.device+" received PUBACK")
	_ = in.Close()
	s.stored, s.twice = append(s.stored, "taken 1"), "taken 1"
}

func (s *mosquittoStory) silent() {
	cmd, _ := s.hears("-k", "5") // the least that it takes
	s.tap.freeze(true)
	testkit.Eventually(s.t, patience, "the silent client to be ended", func() bool { return !s.n.online(s.device) })
	_ = cmd.Process.Kill()
	s.tap.freeze(false)
}

// mosquitto_pub of 5 does not send what the node does not take; that of 3.1.1 tries again.
func (s *mosquittoStory) oversize() {
	file := func(size int) string {
		name := filepath.Join(s.t.TempDir(), "payload")
		if err := os.WriteFile(name, []byte(strings.Repeat("0", size)), 0o600); err != nil {
			s.t.Fatal(err)
		}
		return name
	}
	s.published("-q", "1", "-t", "large", "-f", file(maxMatrixMessage/2))
	s.stored = append(s.stored, `large "MDAwMDA`)
	larger := []string{"-q", "1", "-t", "larger", "-f", file(maxMatrixMessage + 1)}
	if s.c.version == 5 {
		if out, _ := s.publishes(s.token, larger...); strings.Contains(out, "received PUBACK") {
			s.t.Errorf("oversize: %s", out)
		}
		return
	}
	cmd := s.command("mosquitto_pub", s.device, "any", s.token, larger...)
	lines := linesOf(s.t, cmd)
	awaitLine(s.t, lines, "Client "+s.device+" sending PUBLISH")
	testkit.Eventually(s.t, patience, "who sends too much to be ended", func() bool { return !s.n.online(s.device) })
	_ = cmd.Process.Kill()
}

func (s *mosquittoStory) refused() {
	for name, token := range map[string]string{"no token": "none", "another's": s.other} {
		if out, err := s.publishes(token, "-q", "1", "-t", "refused", "-m", "1"); err == nil || !strings.Contains(out, "Connection error") {
			s.t.Errorf("refused with %s: %v: %s", name, err, out)
		}
	}
	out, _ := s.command("mosquitto_sub", s.device, "any", s.token, "-t", "#", "-E").CombinedOutput()
	if !strings.Contains(string(out), "denied") {
		s.t.Errorf("denied: %s", out)
	}
}

func (s *mosquittoStory) share() {
	topic := "shared/" + s.device
	var cmds []*exec.Cmd
	var got []<-chan string
	for i := range 2 {
		cmd := s.command("mosquitto_sub", fmt.Sprint(s.device, i), "default", s.n.adminToken(), "-q", "1", "-t", "$share/"+s.device+"/"+topic, "-F", "got %p")
		lines := linesOf(s.t, cmd)
		awaitLine(s.t, lines, "Subscribed")
		cmds, got = append(cmds, cmd), append(got, lines)
	}
	sent := 0
	send := func() (to int) {
		sent++
		s.published("-q", "1", "-t", topic, "-m", fmt.Sprint(sent))
		s.stored = append(s.stored, fmt.Sprint(topic, " ", sent))
		to = -1
		testkit.Eventually(s.t, patience, "a message of the group", func() bool {
			for i, lines := range got {
				for more := true; more && to < 0; {
					select {
					case line := <-lines:
						if line == fmt.Sprint("got ", sent) {
							to = i
						}
					default:
						more = false
					}
				}
			}
			return to >= 0
		})
		return to
	}
	first := send()
	if next := send(); next != first {
		s.t.Errorf("share: %d has the first message, and %d the second", first, next)
	}
	_ = cmds[first].Process.Kill()
	testkit.Eventually(s.t, patience, "a message to come to the other application", func() bool { return send() != first })
	_ = cmds[1-first].Process.Kill()
}

func (s *mosquittoStory) retained() {
	topic := "retained/" + s.device
	send := func(sub, data string, args ...string) {
		s.published(append([]string{"-q", "1", "-t", topic + sub}, args...)...)
		s.stored = append(s.stored, fmt.Sprint(topic, sub, " ", data))
	}
	application := func(as string) (cmd *exec.Cmd, lines <-chan string) {
		cmd = s.command("mosquitto_sub", s.device+as, "default", s.n.adminToken(), "-q", "1", "-t", topic+"/#", "-F", "got %t=%p %r")
		return cmd, linesOf(s.t, cmd)
	}
	hears := func(lines <-chan string, want ...string) {
		for _, w := range want {
			if got := awaitLine(s.t, lines, "got "); got != "got "+topic+w {
				s.t.Errorf("retained: %s, want %s", got, w)
			}
		}
	}
	send("/1", "1", "-r", "-m", "1")
	before, lines := application("-before")
	hears(lines, "/1=1 1")
	send("/1", `""`, "-r", "-n")
	hears(lines, "/1= 0")
	_ = before.Process.Kill()
	send("/2", "2", "-r", "-m", "2")
	after, lines := application("-after")
	hears(lines, "/2=2 1")
	send("/1", "3", "-m", "3") // behind all that is retained
	hears(lines, "/1=3 0")
	_ = after.Process.Kill()
}
