package file_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/klauspost/compress/zstd"

	"edgeloop/sink"
	"edgeloop/sink/file"
	"edgeloop/sink/sinktest"
)

// all reads what is in a directory: files with their last name by it, then the one that grows.
func all(t *testing.T, dir string) (ids []string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "records-*"))
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(names, func(a, b string) int { return int(firstOf(t, a)) - int(firstOf(t, b)) })
	if growing := filepath.Join(dir, "records.part"); exists(growing) {
		names = append(names, growing)
	}
	for _, name := range names {
		ids = append(ids, positions(t, read(t, name))...)
	}
	return ids
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(name, ".zst") {
		z, err := zstd.NewReader(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		if b, err = io.ReadAll(z); err != nil {
			t.Fatal(err)
		}
		return b
	}
	if !strings.HasSuffix(name, ".gz") {
		return b
	}
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if b, err = io.ReadAll(z); err != nil {
		t.Fatal(err)
	}
	return b
}

func positions(t *testing.T, text []byte) (ids []string) {
	t.Helper()
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		var r struct{ Position string }
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatalf("%q: %v", lines.Text(), err)
		}
		ids = append(ids, r.Position)
	}
	return ids
}

func firstOf(t *testing.T, name string) (n uint64) {
	t.Helper()
	id := positions(t, read(t, name))[0]
	for _, c := range id[strings.LastIndexByte(id, '-')+1:] {
		n = n*10 + uint64(c-'0')
	}
	return n
}

// alone runs the test in a process of its own, and says whether this is that process. The limit of
// fill is for a whole process: package testing writes a file of its own, which says what a test has
// opened, and would not get it written.
func alone(t *testing.T) bool {
	t.Helper()
	const mark = "EDGELOOP_TEST_ALONE"
	if os.Getenv(mark) != "" {
		return true
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), mark+"=1")
	if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Errorf("%v: %s", err, out)
	}
	return false
}

func TestFile_IsADestination(t *testing.T) {
	if !alone(t) {
		return
	}
	for name, more := range map[string]map[string]any{"plain": {}, "gzip": {"gzip": true}, "zstd": {"zstd": true}} {
		t.Run(name, func(t *testing.T) {
			sinktest.Run(t, func(t *testing.T) *sinktest.Harness {
				dir := t.TempDir()
				values := map[string]any{"dir": dir, "max_size": "4KiB", "min_free": 0}
				for k, v := range more {
					values[k] = v
				}
				return &sinktest.Harness{
					New: func(t *testing.T) sink.Destination { return sinktest.New(t, file.New, values) },
					Received: func(t *testing.T) []string {
						if plain, _ := filepath.Glob(filepath.Join(dir, "records-*.ndjson")); name != "plain" && len(plain) > 0 {
							t.Errorf("%v are not compressed", plain)
						}
						return all(t, dir)
					},
					Full: func(t *testing.T, full bool) { fill(t, filepath.Join(dir, "records.part"), full) },
				}
			})
		})
	}
}

// fill has no file grow beyond the size that one has, and half a line, as on a full disk.
func fill(t *testing.T, path string, full bool) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	limit.Cur = limit.Max
	if full {
		t.Cleanup(func() { fill(t, path, false) })
		limit.Cur = uint64(len(read(t, path))) + 100
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
}

// What a crash has left half written is cut off, and what was whole stays.
func TestFile_CutsOffWhatIsHalfWritten(t *testing.T) {
	dir := t.TempDir()
	values := map[string]any{"dir": dir, "min_free": 0}
	d := sinktest.New(t, file.New, values)
	if _, err := sinktest.Send(t, d, sinktest.Records(1, 3)); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "records.part"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"tenant":"default","devi`); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if _, err := sinktest.Send(t, sinktest.New(t, file.New, values), sinktest.Records(4, 6)); err != nil {
		t.Fatal(err)
	}
	if got := all(t, dir); !slices.Equal(got, sinktest.IDs(sinktest.Records(1, 6)...)) {
		t.Errorf("the files have %v", got)
	}
}

// A disk that is nearly full belongs to the log; two sinks do not write one file.
func TestFile_DoesNotWriteWhere(t *testing.T) {
	dir := t.TempDir()
	if n, err := sinktest.Send(t, sinktest.New(t, file.New, map[string]any{"dir": dir, "min_free": "1024TiB"}), sinktest.Records(1, 2)); n != 0 || err == nil || !strings.Contains(err.Error(), "min_free") {
		t.Errorf("%d confirmed, %v", n, err)
	}
	dir = t.TempDir()
	values := map[string]any{"dir": dir, "min_free": 0}
	if _, err := sinktest.Send(t, sinktest.New(t, file.New, values), sinktest.Records(1, 2)); err != nil {
		t.Fatal(err)
	}
	if n, err := sinktest.Send(t, sinktest.New(t, file.New, values), sinktest.Records(1, 2)); n != 0 || err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("%d confirmed, %v", n, err)
	}
}
