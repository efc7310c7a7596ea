package outlets

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"edgeloop/bench/fault/faults"
	"edgeloop/internal/pause"
)

// Mood is how a Webhook answers. The zero value takes what comes.
type Mood struct {
	Delay     time.Duration // before it takes or refuses anything
	Fail      int           // of so many requests one is answered with 503, and nothing taken; 0: none
	RefuseAll bool          // every record with a sequence is one that it will never take
}

// Webhook is a receiver of webhooks in this process. It takes a batch whole or not at all, and
// what it has once refused it refuses for good.
type Webhook struct {
	// Immutable after construction.
	Proxy  *faults.Proxy // in front of it
	token  string        // file with what it wants to be shown
	server *http.Server

	turn sync.Mutex // one request at a time: what comes late is not taken behind what came again

	mu sync.Mutex
	// Guarded by mu.
	mood     Mood
	secret   string
	requests int
	took     []batch
	refused  map[key]bool
}

// batch is a body that was taken, and when. They are kept one by one: in one buffer all of them would be
// copied each time that it grows, on the processors of the devices.
type batch struct {
	body []byte // lines; never written
	at   time.Time
}

type key struct {
	device string
	seq    uint64
}

// poison is the sequence of a record that a Webhook always refuses, of every tenth device.
const poison = 41

// NewWebhook listens at addr, behind a proxy at front. Its token is in the file token.
func NewWebhook(front, addr, token string) (*Webhook, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	w := &Webhook{token: token, secret: "first", refused: map[key]bool{}}
	w.server = &http.Server{Handler: w, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = w.server.Serve(l) }() // Close ends it
	if w.Proxy, err = faults.NewProxy(front, addr); err == nil {
		err = w.Show("first")
	}
	if err != nil {
		return nil, errors.Join(err, w.server.Close())
	}
	return w, nil
}

// Name implements Outlet.
func (w *Webhook) Name() string { return "hook" }

// Keys implements Outlet.
func (w *Webhook) Keys() string {
	return fmt.Sprintf("type: webhook, url: 'http://%s/in', bearer_file: %s", w.Proxy.Addr(), w.token)
}

// Be changes how it answers. Any goroutine.
func (w *Webhook) Be(m Mood) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mood = m
}

// Show writes what the node shows it from now on; the receiver wants what it wanted.
func (w *Webhook) Show(token string) error { return os.WriteFile(w.token, []byte(token), 0o600) }

// ServeHTTP takes a batch.
func (w *Webhook) ServeHTTP(answer http.ResponseWriter, r *http.Request) {
	body, err := unpacked(answer, r)
	if err != nil { // cut off: nothing of it is taken, nor refused
		http.Error(answer, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.turn.Lock()
	defer w.turn.Unlock()
	w.mu.Lock()
	delay := w.mood.Delay
	w.mu.Unlock()
	if pause.For(r.Context(), delay) != nil {
		return // who sent it is gone
	}
	answer.WriteHeader(w.judge(r.Header.Get("Authorization"), body))
}

// unpacked is the whole body of a request.
func unpacked(answer http.ResponseWriter, r *http.Request) ([]byte, error) {
	in := io.Reader(http.MaxBytesReader(answer, r.Body, 32<<20))
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, err
		}
		in = io.LimitReader(z, 64<<20)
	}
	var body bytes.Buffer
	if r.ContentLength > 0 && r.ContentLength < 32<<20 {
		body.Grow(int(r.ContentLength) + bytes.MinRead)
	}
	_, err := body.ReadFrom(in)
	return body.Bytes(), err
}

// judge says what a batch is answered with, and takes it if that is 200.
func (w *Webhook) judge(shown string, body []byte) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.requests++
	switch {
	case shown != "Bearer "+w.secret:
		return http.StatusUnauthorized
	case w.mood.Fail > 0 && w.requests%w.mood.Fail == 0:
		return http.StatusServiceUnavailable
	}
	bad, all := 0, 0
	var last key
	err := eachLine("a body", body, func(line []byte) error {
		var r struct {
			Device string
			Seq    uint64
		}
		if err := json.Unmarshal(line, &r); err != nil {
			return err
		}
		all++
		if last = (key{r.Device, r.Seq}); w.mood.RefuseAll && r.Seq > 0 || w.refused[last] || poisoned(last) {
			bad++
		}
		return nil
	})
	switch {
	case err != nil:
		return http.StatusServiceUnavailable
	case bad > 0 && all == 1:
		w.refused[last] = true
		return http.StatusUnprocessableEntity
	case bad > 0:
		return http.StatusUnprocessableEntity
	}
	w.took = append(w.took, batch{body, time.Now()})
	return http.StatusOK
}

func poisoned(k key) bool { return k.seq == poison && k.device[len(k.device)-1] == '3' }

// Read implements Outlet.
func (w *Webhook) Read(_ context.Context, each func(at time.Time, line []byte) error) error {
	w.mu.Lock()
	took := w.took // appended to, never changed
	w.mu.Unlock()
	for _, b := range took {
		err := eachLine("what the receiver took", b.body, func(line []byte) error { return each(b.at, line) })
		if err != nil {
			return err
		}
	}
	return nil
}

// Forget drops what it took. Any goroutine.
func (w *Webhook) Forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.took = nil
}

// Refused implements Outlet. Any goroutine.
func (w *Webhook) Refused(device string, seq uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.refused[key{device, seq}]
}

// RefusedCount is how many records it refused. Any goroutine.
func (w *Webhook) RefusedCount() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.refused)
}

// Close implements Outlet.
func (w *Webhook) Close() {
	w.Proxy.Close()
	_ = w.server.Close() // what it held is in memory
}
