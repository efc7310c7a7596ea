package servers_test

import (
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"edgeloop/backbone/servers"
)

// The functions that inlet.go links to take what it declares: the linker would not
// notice if another version of the server had changed one of them.
func TestInlet_SignaturesOfTheServer(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.Dir}}", "github.com/nats-io/nats-server/v2/server").Output()
	if err != nil {
		t.Fatal(err)
	}
	dir := strings.TrimSpace(string(out))
	for _, want := range [...]struct{ file, signature string }{
		{"jetstream.go", "(a *Account) lookupStream(name string) (*stream, error)"},
		{"stream.go", "(mset *stream) lastSeq() uint64"},
		{"stream.go", "(mset *stream) Store() StreamStore"},
		{"stream.go", "(mset *stream) processJetStreamMsg(subject, reply string, hdr, msg []byte, lseq uint64, ts int64, mt *msgTrace, sourced bool, needIsolation bool) error"},
	} {
		if !declares(t, filepath.Join(dir, want.file), want.signature) {
			t.Errorf("the server has no func %s: read what became of it, and change inlet.go", want.signature)
		}
	}
}

// The fields of a message that outlet.go reads are where it takes them to be.
func TestOutlet_FieldsOfTheServer(t *testing.T) {
	theirs, ours := reflect.TypeFor[server.StoreMsg](), servers.MessageFields
	if theirs.NumField() != ours.NumField() || theirs.Size() != ours.Size() {
		t.Fatalf("a message of the server is %v", theirs)
	}
	for i := range ours.NumField() {
		if a, b := theirs.Field(i), ours.Field(i); a.Name != b.Name || a.Type != b.Type || a.Offset != b.Offset {
			t.Errorf("field %d is %s %v", i, a.Name, a.Type)
		}
	}
}

// declares says whether a file has a function with exactly this receiver and signature.
func declares(t *testing.T, path, signature string) bool {
	t.Helper()
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		fn.Body, fn.Doc = nil, nil
		var b strings.Builder
		if err := printer.Fprint(&b, fset, fn); err != nil {
			t.Fatal(err)
		}
		if b.String() == "func "+signature {
			return true
		}
	}
	return false
}
