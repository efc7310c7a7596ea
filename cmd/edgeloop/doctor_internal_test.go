package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"edgeloop/doctor"
)

func TestDoctor_ExitCodes(t *testing.T) {
	for _, test := range []struct {
		args string
		code int
		says string
	}{
		{"-c 1", exitOK, ""},
		{"--connections=1000000000", exitFail, "do not fit"},
		{"--connections=0", exitUsage, "--connections=0"},
		{"--fd-reserve=1", exitUsage, "--fd-reserve=1"},
		{"--connections=many", exitUsage, "--connections"},
		{"--no-such-flag", exitUsage, "unknown flag"},
	} {
		t.Run(test.args, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			args := append([]string{"doctor", "--data-dir=" + t.TempDir()}, strings.Fields(test.args)...)
			if code := run(args, &stdout, &stderr); code != test.code || !strings.Contains(stderr.String(), test.says) {
				t.Errorf("exit code %d, want %d; standard error %s", code, test.code, &stderr)
			}
			if test.code != exitUsage && !strings.Contains(stdout.String(), "This machine can hold ") || strings.Contains(stdout.String(), "\x1b") {
				t.Errorf("standard output %s", &stdout)
			}
		})
	}
}

func TestDoctor_JSON(t *testing.T) {
	var stdout, stderr bytes.Buffer
	code := run([]string{"doctor", "--json", "-c", "1", "--data-dir", t.TempDir()}, &stdout, &stderr)
	var r doctor.Report
	if err := json.Unmarshal(stdout.Bytes(), &r); err != nil || code != exitOK || r.Schema != doctor.Schema || r.Wanted != 1 || !r.Fits {
		t.Errorf("exit code %d, error %v, report %+v, %s", code, err, r, &stderr)
	}
}
