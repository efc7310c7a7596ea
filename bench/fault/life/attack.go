package life

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"edgeloop/bench/fault/attack"
)

// Attack runs an attack in a child process and notes its result.
func (l *Life) Attack(ctx context.Context, a attack.Attack) (attack.Spoils, error) {
	l.Journal.Inject("%d peers: %s", a.Count, a.Kind)
	t, err := l.attack(ctx, a)
	if err == nil {
		l.Note("%d peers, %s: %s", a.Count, a.Kind, t)
	}
	return t, err
}

func (l *Life) attack(ctx context.Context, a attack.Attack) (attack.Spoils, error) {
	a.Addr = l.Node.Listen
	arg, err := json.Marshal(a)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, "attack", string(arg))
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("attack %s: %w: %s", a.Kind, err, stderr.Bytes())
	}
	var t attack.Spoils
	if err := json.Unmarshal(out.Bytes(), &t); err != nil {
		return nil, fmt.Errorf("attack %s: %w", a.Kind, err)
	}
	return t, nil
}
