package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// newAssembly is the list of a node without parts.
func newAssembly(t *testing.T) *assembly {
	t.Helper()
	log, err := newLogging("error", "text", &fickle{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(log.out.Close)
	return &assembly{log: log, watch: newSupervisor(log, time.Second)}
}

// noted is a part that notes when it is started and stopped.
func noted(notes *[]string, name string, fails error) part {
	note := func(what string) { *notes = append(*notes, what+name) }
	return part{name: name, startMost: time.Minute, stopMost: time.Second, start: func(context.Context) (stopFunc, error) {
		note("+")
		return func(context.Context) error { note("-"); return fails }, nil
	}}
}

// TestAssembly_StopsInReverse: what has begun stops in the reverse order, each once,
// whatever fails; a part without a stop has none.
func TestAssembly_StopsInReverse(t *testing.T) {
	var notes []string
	r, broken := newAssembly(t), errors.New("broken")
	half := noted(&notes, "d", nil)
	begin := half.start
	half.start = func(ctx context.Context) (stopFunc, error) {
		stop, _ := begin(ctx)
		return stop, broken
	}
	minor := noted(&notes, "c", errors.New("a trifle"))
	minor.minor = true
	for _, p := range []part{
		noted(&notes, "a", nil),
		noted(&notes, "b", broken),
		{name: "no stop", start: func(context.Context) (stopFunc, error) { return nil, nil }},
		minor,
	} {
		if err := r.start(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.start(t.Context(), half); !errors.Is(err, broken) {
		t.Errorf("the start that failed half-way returned %v", err)
	}
	r.stopFirst("a", time.Second)
	r.stopFirst("unknown", time.Second)
	if err := r.stop(); !errors.Is(err, broken) || strings.Contains(err.Error(), "trifle") {
		t.Errorf("the stop returned %v", err)
	}
	if err := r.stop(); err != nil {
		t.Errorf("the second stop returned %v", err)
	}
	if want := strings.Fields("+a +b +c +d -a -d -c -b"); !slices.Equal(notes, want) {
		t.Errorf("the order was %v, want %v", notes, want)
	}
}

// TestAssembly_HangsAreLeftBehind: a part that does not start or stop, and does not
// heed its context, holds up the others for a bounded time, and is named.
func TestAssembly_HangsAreLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var notes []string
		r, release := newAssembly(t), make(chan struct{})
		defer close(release)
		stuck := part{name: "clock", startMost: time.Minute, stopMost: 5 * time.Second, start: func(context.Context) (stopFunc, error) {
			return func(context.Context) error { <-release; return nil }, nil
		}}
		for _, p := range []part{noted(&notes, "log", nil), stuck} {
			if err := r.start(t.Context(), p); err != nil {
				t.Fatal(err)
			}
		}
		stuck.start = func(context.Context) (stopFunc, error) { <-release; return nil, nil }
		began := time.Now()
		if err := r.start(t.Context(), stuck); err == nil || !strings.Contains(err.Error(), "start: clock") {
			t.Errorf("a start that hangs: %v", err)
		}
		if took := time.Since(began); took != 61*time.Second {
			t.Errorf("the start was left behind after %s", took)
		}
		began = time.Now()
		if err := r.stop(); err == nil || !strings.Contains(err.Error(), "stop: clock") {
			t.Errorf("a stop that hangs: %v", err)
		}
		if took := time.Since(began); took != 6*time.Second || !slices.Contains(notes, "-log") {
			t.Errorf("the stop was left behind after %s: %v", took, notes)
		}
	})
}

// TestNode_EveryPartIsBounded: no part of a node starts or stops without a limit,
// but for the embedded log, whose start has one of its own.
func TestNode_EveryPartIsBounded(t *testing.T) {
	for _, natsURL := range []string{"", "nats://127.0.0.1:4222"} {
		log := newAssembly(t).log
		n := newNode(&serveCmd{NATSURL: natsURL}, log, newSupervisor(log, time.Second))
		for _, p := range n.parts() {
			own := p.name == logPart && natsURL == ""
			if (p.startMost == 0) != own || p.stopMost == 0 {
				t.Errorf("%s: start %s, stop %s", p.name, p.startMost, p.stopMost)
			}
		}
	}
}
