package main

import (
	"bytes"
	"strings"
	"testing"
)

// The exit code of log verify tells, and a directory without a log is sound.
func TestLogVerify_WithoutALog(t *testing.T) {
	dir := t.TempDir()
	var out, errs bytes.Buffer
	if code := run([]string{"log", "verify", "--data-dir=" + dir}, &out, &errs); code != exitOK || !strings.Contains(out.String(), "no log in") {
		t.Errorf("code %d, %s%s", code, &out, &errs)
	}
	if code := run([]string{"log", "verify", "--data-dir=" + dir + "/none"}, &out, &errs); code != exitFail {
		t.Errorf("code %d for a directory that is not there", code)
	}
	if code := run([]string{"log", "accept", "--data-dir=" + dir}, &out, &errs); code != exitOK {
		t.Errorf("accept: code %d, %s", code, &errs)
	}
}
