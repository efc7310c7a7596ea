package main

import (
	"strings"
	"testing"
	"time"

	"edgeloop/internal/units"
)

// Sizes and ages are what they are where they come from: a flag, the environment or
// the configuration file.
func TestUnits(t *testing.T) {
	for text, want := range map[string]int64{
		"65536": 65536, "0x10": 16, "64KiB": 64 << 10, "512MiB": 512 << 20, "10 GiB": 10 << 30, "1TiB": 1 << 40, "10kB": 10_000, "3GB": 3e9, "7B": 7, "-5": -5,
	} {
		if got, err := units.Size(text); err != nil || got != want {
			t.Errorf("%s is %d, %v; want %d", text, got, err, want)
		}
		if n := units.SizeText(want); want > 0 {
			if got, err := units.Size(n); err != nil || got != want {
				t.Errorf("%d is written %s, which is %d, %v", want, n, got, err)
			}
		}
	}
	for text, want := range map[string]time.Duration{
		"7d": 7 * 24 * time.Hour, "36h": 36 * time.Hour, "1d12h": 36 * time.Hour, "2w": 336 * time.Hour, "1w1d1s": 192*time.Hour + time.Second, "90m": 90 * time.Minute, "0": 0, "-1s": -time.Second, "1ms": time.Millisecond,
	} {
		if got, err := units.Age(text); err != nil || time.Duration(got) != want {
			t.Errorf("%s is %s, %v; want %s", text, time.Duration(got), err, want)
		}
	}
	for _, text := range []string{"", "B", "1.5GiB", "10gib", "10G", "GiB", "9000000TiB", "1 2", "10GiBB", "none"} {
		if got, err := units.Size(text); err == nil || !strings.Contains(err.Error(), "GiB") {
			t.Errorf("size %q is %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "7", "d", "7days", "1.5d", "1d-1h", "99999999999w", "9999999w", "1h1d"} {
		if got, err := units.Age(text); err == nil || !strings.Contains(err.Error(), "7d") {
			t.Errorf("age %q is %d, %v", text, got, err)
		}
	}
	for text, want := range map[string]int64{"auto": 0, "none": -1, "0": -1, "1GiB": 1 << 30} {
		if got, err := orNone(units.Size)(text); err != nil || got != want {
			t.Errorf("%s is %d, %v; want %d", text, got, err, want)
		}
	}
	// Each place it may come from.
	s, err := parseServe(t, noFile, "--log-max-bytes=10GiB", "--log-max-age=7d", "--inflight-bytes=1GiB")
	if err != nil || s.LogMaxBytes != 10<<30 || s.LogMaxAge != 7*24*time.Hour || s.InflightBytes != 1<<30 {
		t.Errorf("%+v, %v", s, err)
	}
	file, err := newFileResolver("f", strings.NewReader("log-max-bytes: 512MiB\nlog_max_age: 36h\nmax-message: 4096\nout-buffer: none\n"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parseServe(t, file); err == nil || !strings.Contains(err.Error(), "out-buffer") {
		t.Errorf("a buffer of none: %v", err)
	}
	file.values["out-buffer"] = "64KiB"
	s, err = parseServe(t, file)
	if err != nil || s.LogMaxBytes != 512<<20 || s.LogMaxAge != 36*time.Hour || s.MaxMessage != 4096 || s.OutBuffer != 64<<10 {
		t.Errorf("%+v, %v", s, err)
	}
}
