package envelope_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"edgeloop/envelope"
)

// bytesOf is how docs/protocol.md shows a message: its JSON, and under it the
// two frames.
func bytesOf(t *testing.T, m *envelope.Message) string {
	t.Helper()
	text, _ := codecs(t, envelope.ProtoJSON)
	lines := string(text.Append(nil, m)) + "\n"
	for _, name := range []string{envelope.ProtoFrameJSON, envelope.ProtoFrameProto} {
		codec, _ := codecs(t, name)
		b := codec.Append(nil, m)
		payload := "the line above"
		if name == envelope.ProtoFrameProto {
			payload = fmt.Sprintf("% X", b[6:len(b)-4])
		}
		lines += fmt.Sprintf("%-12s %s\n", strings.TrimPrefix(name, "edgeloop.v1.")+":",
			strings.ReplaceAll(fmt.Sprintf("% X | %s | % X", b[:6], payload, b[len(b)-4:]), "|  |", "| |"))
	}
	return lines
}

// Every message of the page is shown in bytes, and the bytes are those that
// the codecs make.
func TestDocs_Bytes(t *testing.T) {
	page, err := os.ReadFile("../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	node, device := codecs(t, envelope.ProtoJSON)
	examples := regexp.MustCompile(`(?m)^\{"type":.*\}$`).FindAll(page, -1)
	if len(examples) < len(spec) {
		t.Fatalf("the page has %d examples, want one for each of %d types", len(examples), len(spec))
	}
	for _, example := range examples {
		var m envelope.Message
		if node.Decode(false, example, &m) != nil && device.Decode(false, example, &m) != nil {
			t.Errorf("%s: neither side takes it", example)
			continue
		}
		if want := bytesOf(t, &m); !strings.Contains(string(page), want) {
			t.Errorf("the page should show\n%s", want)
		}
	}
}
