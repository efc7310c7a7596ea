package admin

import (
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

// A look at the process does not show the passwords of the log's servers.
func TestCmdline_NoPasswords(t *testing.T) {
	before := os.Args
	defer func() { os.Args = before }()
	os.Args = []string{"edgeloop", "serve", "--nats-url=nats://edge:s3cret@host", "--node=a"}
	w := httptest.NewRecorder()
	if err := cmdline(w, nil); err != nil {
		t.Fatal(err)
	}
	if got := w.Body.String(); got != strings.Join([]string{"edgeloop", "serve", "--nats-url=nats://…@host", "--node=a"}, "\x00") {
		t.Errorf("%q", got)
	}
}
