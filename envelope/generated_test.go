package envelope_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"edgeloop/envelope"
)

// object draws an object of the fields that a type carries, most of them good,
// with some missing, some wrong, some unknown, in any order and with spaces.
// Random bytes, as FuzzJSON has them, seldom get as far as this.
func object(rt *rapid.T) []byte {
	kinds := make([]string, 0, len(spec))
	for kind := range spec {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	kind := rapid.SampledFrom(kinds).Draw(rt, "type")
	members := []string{member(rt, "type", fmt.Sprintf("%q", kind))}
	for _, name := range strings.Fields(spec[kind] + " seq zz") {
		if rapid.IntRange(0, 9).Draw(rt, "present") > 0 {
			members = append(members, member(rt, strings.TrimSuffix(name, "!"), value(rt, strings.TrimSuffix(name, "!"))))
		}
	}
	members = rapid.Permutation(members).Draw(rt, "order")
	space := rapid.SampledFrom([]string{"", " ", "\n\t"}).Draw(rt, "space")
	return []byte("{" + space + strings.Join(members, space+","+space) + space + "}")
}

// member writes one, with its name escaped in part now and then.
func member(rt *rapid.T, name, value string) string {
	if i := rapid.IntRange(0, 20).Draw(rt, "escape"); i < len(name) {
		name = fmt.Sprintf(`%s\u%04x%s`, name[:i], name[i], name[i+1:])
	}
	return `"` + name + `": ` + value
}

// value draws a value that suits the field nine times of ten.
func value(rt *rapid.T, name string) string {
	odd := []string{"null", "0", "-0", "1.0", "1e2", "9007199254740991", "9007199254740992", "-1", `""`, `"a\nb"`, `"\ud83d\ude00"`, "true", "[]", `{"a":[{}]}`, `"` + strings.Repeat("x", 65) + `"`}
	if rapid.IntRange(0, 9).Draw(rt, "odd") == 0 {
		return rapid.SampledFrom(odd).Draw(rt, "odd value")
	}
	switch {
	case longest[name] > 0:
		b, err := json.Marshal(rapid.StringN(0, min(longest[name], 80), -1).Draw(rt, name))
		if err != nil {
			rt.Fatal(err)
		}
		return string(b)
	case name == "ok":
		return rapid.SampledFrom([]string{"true", "false"}).Draw(rt, name)
	case name == "data" || name == "zz":
		return rapid.SampledFrom(odd).Draw(rt, name)
	}
	return fmt.Sprint(rapid.Uint64Range(1, 1<<31).Draw(rt, name))
}

func TestJSON_AgreesOnGenerated(t *testing.T) {
	node, device := codecs(t, envelope.ProtoJSON)
	good := 0
	rapid.Check(t, func(rt *rapid.T) {
		payload := object(rt)
		want, ok := expected(t, payload)
		if ok {
			good++
		}
		for _, codec := range []envelope.Codec{node, device} {
			var got envelope.Message
			err := codec.Decode(false, payload, &got)
			reads := ok && (want.Type == envelope.TypeHeartbeat || want.Type.FromDevice() == (codec == node))
			if (err == nil) != reads {
				rt.Fatalf("%s: got error %v, want good to be %v", payload, err, reads)
			}
			if err == nil {
				wantMessage(t, string(payload), want, got)
				wantRoundTrip(t, codec, codec, &got)
			}
		}
	})
	if good == 0 {
		t.Error("no good message was drawn")
	}
}
