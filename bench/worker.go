package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"

	"edgeloop/bench/fleet"
)

// WorkerCommand is the argument that makes this program a worker: it then
// speaks JSON lines on standard input and output, see Work.
const WorkerCommand = "worker"

// request is one line to a worker: exactly one field is set.
type request struct {
	Config   *fleet.Config `json:",omitempty"` // first line: be this fleet
	Order    *fleet.Order  `json:",omitempty"`
	Snapshot *bool         `json:",omitempty"` // with histograms?
}

// reply is the one line that answers a request.
type reply struct {
	Error    string          `json:",omitempty"`
	Snapshot *fleet.Snapshot `json:",omitempty"`
}

// Work is the whole life of a worker process: it carries out requests until in
// ends, as it does when the process that started it is gone.
func Work(in io.Reader, out io.Writer) error {
	if _, err := raiseDescriptors(); err != nil {
		return err
	}
	dec, enc := json.NewDecoder(in), json.NewEncoder(out)
	var f *fleet.Fleet
	defer func() {
		if f != nil {
			_ = f.Close()
		}
	}()
	for {
		var r request
		if err := dec.Decode(&r); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("bench: request: %w", err)
		}
		var a reply
		var err error
		switch {
		case r.Config != nil && f == nil:
			f, err = fleet.New(*r.Config)
		case f == nil:
			err = errors.New("bench: no fleet yet")
		case r.Order != nil:
			err = f.Do(*r.Order)
		case r.Snapshot != nil:
			a.Snapshot, err = encodeSnapshot(f, *r.Snapshot)
		}
		if err != nil {
			a.Error = err.Error()
		}
		if err := enc.Encode(a); err != nil {
			return fmt.Errorf("bench: reply: %w", err)
		}
	}
}

func encodeSnapshot(f *fleet.Fleet, histograms bool) (*fleet.Snapshot, error) {
	s, err := f.Snapshot(histograms)
	if err == nil && histograms {
		s.Encoded, err = s.Histograms.Encode()
	}
	return &s, err
}

// worker is the near end of a worker process.
type worker struct {
	// Immutable after construction.
	cmd *exec.Cmd
	in  io.WriteCloser

	// Guarded by mu.
	mu  sync.Mutex
	enc *json.Encoder
	dec *json.Decoder
}

func startWorker(cfg fleet.Config) (*worker, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, WorkerCommand)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	w := &worker{cmd: cmd, in: in, enc: json.NewEncoder(in), dec: json.NewDecoder(out)}
	if _, err := w.ask(request{Config: &cfg}); err != nil {
		_ = w.Close()
		return nil, err
	}
	return w, nil
}

func (w *worker) ask(r request) (reply, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var a reply
	if err := w.enc.Encode(r); err != nil {
		return a, fmt.Errorf("bench: worker %d: %w", w.PID(), err)
	}
	if err := w.dec.Decode(&a); err != nil {
		return a, fmt.Errorf("bench: worker %d: %w", w.PID(), err)
	}
	if a.Error != "" {
		return a, fmt.Errorf("bench: worker %d: %s", w.PID(), a.Error)
	}
	return a, nil
}

// Do passes an order on.
func (w *worker) Do(o fleet.Order) error {
	_, err := w.ask(request{Order: &o})
	return err
}

// Snapshot asks the worker for its counters.
func (w *worker) Snapshot(histograms bool) (fleet.Snapshot, error) {
	a, err := w.ask(request{Snapshot: &histograms})
	if err != nil {
		return fleet.Snapshot{}, err
	}
	s := *a.Snapshot
	if histograms {
		s.Histograms, err = fleet.DecodeHistograms(s.Encoded)
	}
	s.Encoded = nil
	return s, err
}

// Close ends the worker's input, which ends the worker; one that does not go
// within ten seconds is killed.
func (w *worker) Close() error {
	_ = w.in.Close()
	t := time.AfterFunc(10*time.Second, func() { _ = w.cmd.Process.Kill() })
	defer t.Stop()
	if err := w.cmd.Wait(); err != nil {
		return fmt.Errorf("bench: worker: %w", err)
	}
	return nil
}

// PID is the worker's process id.
func (w *worker) PID() int { return w.cmd.Process.Pid }
