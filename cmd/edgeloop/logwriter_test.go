package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
)

// fickle is a reader of the log that takes lines when it likes.
type fickle struct {
	// Immutable after construction.
	resume chan struct{} // nil, or closed when it takes lines again

	// Guarded by mu.
	mu    sync.Mutex
	away  bool
	taken bytes.Buffer
}

func (f *fickle) Write(line []byte) (int, error) {
	if f.resume != nil {
		<-f.resume
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away {
		return 0, errors.New("broken pipe")
	}
	return f.taken.Write(line)
}

func (f *fickle) leave(away bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.away = away
}

func (f *fickle) lines() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Split(strings.TrimSuffix(f.taken.String(), "\n"), "\n")
}

func confess(lost uint64) []byte { return fmt.Appendf(nil, "lost %d\n", lost) }

// TestLogWriter_StuckReader: nobody who logs waits for a reader that takes
// nothing, what does not fit is counted, and when the reader is back it gets what
// was kept, in order, and the number of what was not.
func TestLogWriter_StuckReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader := &fickle{resume: make(chan struct{})}
		w := newLogWriter(reader, confess)
		line := func(i int) string { return fmt.Sprintf("%06d %s\n", i, strings.Repeat("x", 992)) }
		const lines = 3000 // 3 MB
		for i := range lines {
			if n, err := w.Write([]byte(line(i))); n != 1000 || err != nil {
				t.Fatalf("Write: %d, %v", n, err)
			}
			if i == 0 {
				synctest.Wait() // the first is what the reader is stuck in
			}
		}
		began := time.Now()
		_ = w.Sync() // never fails
		if took := time.Since(began); took != logPatience {
			t.Errorf("Sync waited %s for a reader that takes nothing, want %s", took, logPatience)
		}
		kept := 1 + logQueue/1000
		if lost := w.Lost(logFull); lost != uint64(lines-kept) {
			t.Errorf("lost %d lines, want %d", lost, lines-kept)
		}
		close(reader.resume)
		w.Close()
		got := reader.lines()
		if len(got) != kept+1 || got[kept] != fmt.Sprintf("lost %d", lines-kept) {
			t.Fatalf("%d lines, the last is %.20q; want %d and how many were lost", len(got), got[len(got)-1], kept)
		}
		for i := range kept {
			if got[i]+"\n" != line(i) {
				t.Fatalf("line %d is %.20q", i, got[i])
			}
		}
	})
}

// TestLogWriter_ReaderAway: lines for a reader that has left are lost and
// counted, and the next one is told.
func TestLogWriter_ReaderAway(t *testing.T) {
	reader := &fickle{}
	w := newLogWriter(reader, confess)
	say := func(s string) {
		_, _ = w.Write([]byte(s + "\n")) // never fails
		_ = w.Sync()
	}
	say("a")
	reader.leave(true)
	say("b")
	say("c")
	if lost := w.Lost(logFailed); lost != 2 || w.Lost(logFull) != 0 {
		t.Errorf("lost %d lines, want 2", lost)
	}
	reader.leave(false)
	say("d")
	w.Close()
	say("e") // nobody is there to take it
	if got := fmt.Sprint(reader.lines()); got != "[a d lost 2]" {
		t.Errorf("the reader got %s", got)
	}
}

// TestLogWriter_CloseIsBounded: a program ends although the reader of its log
// takes nothing, and so does its last word.
func TestLogWriter_CloseIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader := &fickle{resume: make(chan struct{})}
		w := newLogWriter(reader, confess)
		_, _ = w.Write([]byte("a\n"))
		began := time.Now()
		w.Close()
		lastWord(reader, "the end\n")
		if took := time.Since(began); took != 2*logPatience {
			t.Errorf("the end took %s, want %s", took, 2*logPatience)
		}
		close(reader.resume)
	})
}

// TestLogWriter_Concurrent: many who log at once keep their order each, and no
// line is cut by another.
func TestLogWriter_Concurrent(t *testing.T) {
	reader := &fickle{}
	w := newLogWriter(reader, confess)
	const writers, lines = 8, 500
	var all sync.WaitGroup
	for who := range writers {
		all.Go(func() {
			for i := range lines {
				_, _ = w.Write(fmt.Appendf(nil, "%d %d\n", who, i))
			}
		})
	}
	all.Wait()
	w.Close()
	var next [writers]int
	for _, l := range reader.lines() {
		var who, i int
		if _, err := fmt.Sscanf(l, "%d %d", &who, &i); err != nil || next[who] != i {
			t.Fatalf("line %q of writer %d, want number %d", l, who, next[who])
		}
		next[who]++
	}
	if next != [writers]int{lines, lines, lines, lines, lines, lines, lines, lines} {
		t.Errorf("lines of each writer: %v, want %d", next, lines)
	}
}

// TestLogging_LevelChanges: the level is the log's own, not that of the start.
func TestLogging_LevelChanges(t *testing.T) {
	reader := &fickle{}
	log, err := newLogging("warn", "json", reader)
	if err != nil {
		t.Fatal(err)
	}
	log.Info("a")
	log.level.SetLevel(zap.InfoLevel)
	log.Info("b")
	log.out.Close()
	if got := reader.lines(); len(got) != 1 || !strings.Contains(got[0], `"msg":"b"`) {
		t.Errorf("the log has %q", got)
	}
}

// BenchmarkLogWriter is what one line costs the goroutine that logs it.
func BenchmarkLogWriter(b *testing.B) {
	w := newLogWriter(&fickle{resume: make(chan struct{})}, confess)
	line := []byte(strings.Repeat("x", 159) + "\n")
	b.ReportAllocs()
	for b.Loop() {
		_, _ = w.Write(line)
	}
}
