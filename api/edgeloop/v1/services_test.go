package edgeloopv1_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"

	v1 "edgeloop/api/edgeloop/v1"
)

// TestProto_GeneratedCodeFits: the Go code is that of services.proto as it is now.
func TestProto_GeneratedCodeFits(t *testing.T) {
	if _, err := exec.LookPath("protoc"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("protoc is missing: run scripts/setup-test.sh")
		}
		t.Skip("protoc is missing: run make setup")
	}
	path := filepath.Join(t.TempDir(), "set")
	if out, err := exec.Command("protoc", "-I", "../..", "--descriptor_set_out", path, "edgeloop/v1/services.proto").CombinedOutput(); err != nil {
		t.Fatalf("protoc: %v\n%s", err, out)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(b, &set); err != nil || len(set.GetFile()) != 1 {
		t.Fatalf("%d files, %v", len(set.GetFile()), err)
	}
	is, want := protodesc.ToFileDescriptorProto(v1.File_edgeloop_v1_services_proto), set.GetFile()[0]
	if !proto.Equal(is, want) {
		t.Errorf("the generated code is not that of services.proto: run make proto\nthe code has:\n%s\nthe file has:\n%s", prototext.Format(is), prototext.Format(want))
	}
}
