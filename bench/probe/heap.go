package probe

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Heap is the Go heap of a server after a forced collection.
type Heap struct {
	// Alloc is bytes of live objects; Objects their number.
	Alloc   int64 `json:"heap_alloc_bytes"`
	Objects int64 `json:"heap_objects"`
	// InUse is bytes in spans with objects; Stack in goroutine stacks; Sys all
	// that the runtime took from the system and did not give back.
	InUse int64 `json:"heap_in_use_bytes"`
	Stack int64 `json:"stack_bytes"`
	Sys   int64 `json:"sys_bytes"`
}

// Endpoint is an HTTP address of the server under test, with its bearer token.
type Endpoint struct {
	URL   string
	Token string
}

const httpTimeout = 30 * time.Second

// Do sends one request and returns the body of a 2xx answer.
func (e Endpoint) Do(ctx context.Context, method, path, body string) (int, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, httpTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(e.URL, "/")+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	if e.Token != "" {
		req.Header.Set("Authorization", "Bearer "+e.Token)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err == nil && resp.StatusCode/100 != 2 {
		err = fmt.Errorf("probe: %s %s: %s: %.200s", method, path, resp.Status, b)
	}
	return resp.StatusCode, b, err
}

// ReadHeap has the server collect twice (finalisers and pools need the second)
// and reads its heap from /debug/pprof/heap?gc=1.
func ReadHeap(ctx context.Context, e Endpoint) (Heap, error) {
	const path = "/debug/pprof/heap?gc=1&debug=1"
	if _, _, err := e.Do(ctx, http.MethodGet, path, ""); err != nil {
		return Heap{}, err
	}
	_, b, err := e.Do(ctx, http.MethodGet, path, "")
	if err != nil {
		return Heap{}, err
	}
	// The text form ends with "# HeapAlloc = 123" lines: runtime.MemStats.
	m := make(map[string]int64)
	for sc := bufio.NewScanner(strings.NewReader(string(b))); sc.Scan(); {
		name, value, ok := strings.Cut(strings.TrimPrefix(sc.Text(), "# "), " = ")
		if first, _, _ := strings.Cut(value, " "); ok {
			m[name], _ = strconv.ParseInt(first, 10, 64)
		}
	}
	if m["HeapAlloc"] == 0 {
		return Heap{}, fmt.Errorf("probe: %s%s: no HeapAlloc in the profile", e.URL, path)
	}
	return Heap{
		Alloc: m["HeapAlloc"], Objects: m["HeapObjects"], InUse: m["HeapInuse"],
		Stack: m["Stack"], Sys: m["Sys"],
	}, nil
}

// Metrics reads a Prometheus page: the values of series without labels, and
// sums over the labels of the others.
func Metrics(ctx context.Context, e Endpoint) (map[string]float64, error) {
	_, b, err := e.Do(ctx, http.MethodGet, "/metrics", "")
	if err != nil {
		return nil, err
	}
	m := make(map[string]float64)
	sc := bufio.NewScanner(strings.NewReader(string(b)))
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		line := sc.Text()
		if line == "" || line[0] == '#' {
			continue
		}
		i := strings.LastIndexByte(line, ' ')
		name, _, _ := strings.Cut(line[:max(i, 0)], "{")
		if v, err := strconv.ParseFloat(line[i+1:], 64); err == nil {
			m[name] += v
		}
	}
	return m, sc.Err()
}
