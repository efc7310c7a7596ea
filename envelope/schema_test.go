package envelope_test

import (
	"bytes"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"edgeloop/envelope"
)

// schemas compiles the whole schema and the half for each sender.
func schemas(t *testing.T) (whole, fromDevice, fromNode *jsonschema.Schema) {
	t.Helper()
	text, err := os.ReadFile("schema/edgeloop.v1.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("urn:edgeloop:v1", parseJSON(t, text)); err != nil {
		t.Fatal(err)
	}
	compile := func(fragment string) *jsonschema.Schema {
		s, err := compiler.Compile("urn:edgeloop:v1" + fragment)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	return compile(""), compile("#/$defs/fromDevice"), compile("#/$defs/fromNode")
}

func parseJSON(t *testing.T, b []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatalf("%v in %s", err, b)
	}
	return v
}

// What the codec writes is in the schema of the side that writes it, and of no
// other; what the codec refuses, the schema refuses too, unless it is about
// bytes, depth or names that are there twice, which a schema cannot say.
func TestSchema_Agrees(t *testing.T) {
	_, fromDevice, fromNode := schemas(t)
	node, _ := codecs(t, envelope.ProtoJSON)
	for _, m := range samples() {
		b := node.Append(nil, &m)
		mine, other := fromNode, fromDevice
		if m.Type.FromDevice() {
			mine, other = other, mine
		}
		if err := mine.Validate(parseJSON(t, b)); err != nil {
			t.Errorf("%s: %v", b, err)
		}
		if m.Type != envelope.TypeHeartbeat && other.Validate(parseJSON(t, b)) == nil {
			t.Errorf("%s: is in the schema of the other side too", b)
		}
	}
	for _, s := range []string{
		`[]`, `{}`, `{"type":"x"}`, `{"type":"telemetry"}`, `{"type":"telemetry","seq":0,"data":1}`, `{"type":"telemetry","seq":1.5,"data":1}`,
		`{"type":"telemetry","seq":9007199254740992,"data":1}`, `{"type":"telemetry","topic":7,"data":1}`,
		`{"type":"telemetry","topic":"a\u0085","data":1}`, `{"type":"telemetry","topic":"` + strings.Repeat("x", 257) + `","data":1}`,
		`{"type":"reply","id":"","ok":true}`, `{"type":"reply","id":"a"}`, `{"type":"join"}`, `{"type":"token","token":""}`,
	} {
		var m envelope.Message
		if node.Decode(false, []byte(s), &m) == nil || fromDevice.Validate(parseJSON(t, []byte(s))) == nil {
			t.Errorf("%s: codec and schema must both refuse it", s)
		}
	}
}

// The schema lists for each type what the codec's table lists.
func TestSchema_Fields(t *testing.T) {
	text, err := os.ReadFile("schema/edgeloop.v1.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	types := parseJSON(t, text).(map[string]any)["$defs"].(map[string]any)["types"].(map[string]any)
	if len(types) != len(spec) {
		t.Errorf("the schema has %d types, want %d", len(types), len(spec))
	}
	for name, carries := range spec {
		wantRequired, wantProperties := []any{"type"}, []string{"type"}
		for _, f := range strings.Fields(carries) {
			f, must := strings.CutSuffix(f, "!")
			wantProperties = append(wantProperties, f)
			if must {
				wantRequired = append(wantRequired, f)
			}
		}
		def := types[name].(map[string]any)
		if got := def["required"].([]any); !slices.Equal(got, wantRequired) {
			t.Errorf("%s requires %v, want %v", name, got, wantRequired)
		}
		properties := def["properties"].(map[string]any)
		for _, f := range wantProperties {
			if properties[f] == nil {
				t.Errorf("%s has no property %s", name, f)
			}
		}
		if len(properties) != len(wantProperties) {
			t.Errorf("%s has %d properties, want %d", name, len(properties), len(wantProperties))
		}
	}
}

// Every JSON message in docs/protocol.md is in the schema, and the codec of
// the side that gets it reads it.
func TestSchema_Docs(t *testing.T) {
	page, err := os.ReadFile("../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	whole, _, _ := schemas(t)
	node, device := codecs(t, envelope.ProtoJSON)
	seen := map[envelope.Type]bool{}
	for _, example := range regexp.MustCompile(`\{"type":.*\}`).FindAll(page, -1) {
		if err := whole.Validate(parseJSON(t, example)); err != nil {
			t.Errorf("%s: %v", example, err)
		}
		var m envelope.Message
		if node.Decode(false, example, &m) != nil && device.Decode(false, example, &m) != nil {
			t.Errorf("%s: neither side takes it", example)
		}
		seen[m.Type] = true
	}
	if len(seen) != len(spec) {
		t.Errorf("the page has examples of %d types, want all %d", len(seen), len(spec))
	}
}
