package admin_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"edgeloop/admin/api"
)

// A trim says how far, by position or by time, and what it may take; what it took comes back.
func TestTrimLog(t *testing.T) {
	f := newFixture(t)
	var asked api.LogTrim
	f.log.TrimFunc = func(t api.LogTrim) (api.LogTrimmed, error) {
		asked = t
		return api.LogTrimmed{Records: 3, Bytes: 300, First: "x-4"}, nil
	}
	var out api.LogTrimmed
	f.call("POST", "/v1/log/trim", `{"to":"x-3","past_sinks":true}`).want(200).into(&out)
	if out.Records != 3 || asked.To != (api.Position{Log: "x", N: 3}) || !asked.PastSinks || asked.ForgetDevices {
		t.Errorf("asked %+v, answered %+v", asked, out)
	}
	f.call("POST", "/v1/log/trim", `{"before":"2026-11-28T06:00:00Z","forget_devices":true}`).want(200)
	if asked.Before.Hour() != 6 || !asked.ForgetDevices || asked.PastSinks {
		t.Errorf("asked %+v", asked)
	}
	for _, body := range []string{"", `{"to":"x-3","before":"2026-11-28T06:00:00Z"}`, `{"to":"x"}`, `{"to":"0"}`} {
		f.call("POST", "/v1/log/trim", body).refused("to")
	}
}

// A backup is passed on as it is made. What cannot be begun is a problem; what fails later has
// an answer already, which the backup itself ends.
func TestBackup(t *testing.T) {
	f := newFixture(t)
	f.log.BackupFunc = func(w io.Writer) error {
		for range 3 {
			if _, err := io.WriteString(w, "tar"); err != nil {
				return err
			}
		}
		return errors.New("the disk failed")
	}
	if r := f.call("POST", "/v1/log/backup", "").want(200); string(r.body) != strings.Repeat("tar", 3) || r.header.Get("Content-Type") != "application/x-tar" {
		t.Errorf("%s %q", r.header, r.body)
	}
	f.log.BackupFunc = func(io.Writer) error { return api.ErrUnavailable }
	f.call("POST", "/v1/log/backup", "").problem(503, "unavailable")
}
