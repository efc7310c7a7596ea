package admin_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"edgeloop/admin/api"
)

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
