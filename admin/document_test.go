package admin_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"mime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// document is an OpenAPI document, and the part of JSON Schema that ours uses.
type document struct{ root map[string]any }

func readDocument(t *testing.T, text []byte) *document {
	t.Helper()
	d := new(document)
	if err := json.Unmarshal(text, &d.root); err != nil {
		t.Fatal(err)
	}
	return d
}

// operations lists every operation under "GET /path".
func (d *document) operations() map[string]map[string]any {
	all := make(map[string]map[string]any)
	for path, item := range d.root["paths"].(map[string]any) {
		for method, op := range item.(map[string]any) {
			all[strings.ToUpper(method)+" "+path] = op.(map[string]any)
		}
	}
	return all
}

// parameters lists the names of an operation's parameters in one place, sorted.
func (d *document) parameters(op map[string]any, in string) []string {
	names := []string{}
	list, _ := op["parameters"].([]any)
	for _, p := range list {
		if p := d.resolve(p.(map[string]any)); p["in"] == in {
			names = append(names, p["name"].(string))
		}
	}
	return slices.Sorted(slices.Values(names))
}

func (d *document) resolve(v map[string]any) map[string]any {
	if ref, ok := v["$ref"].(string); ok {
		return d.find(ref)
	}
	return v
}

// find follows "#/a/b"; nil where that leads nowhere.
func (d *document) find(ref string) map[string]any {
	at := d.root
	for _, step := range strings.Split(strings.TrimPrefix(ref, "#/"), "/") {
		at, _ = at[step].(map[string]any)
	}
	return at
}

func (d *document) walkRefs(v any, visit func(ref string)) {
	switch v := v.(type) {
	case map[string]any:
		if ref, ok := v["$ref"].(string); ok {
			visit(ref)
		}
		for _, child := range v {
			d.walkRefs(child, visit)
		}
	case []any:
		for _, child := range v {
			d.walkRefs(child, visit)
		}
	}
}

// operation finds what a request is described by, nil where nothing does.
func (d *document) operation(method, path string) map[string]any {
	steps := strings.Split(path, "/")
	for name, op := range d.operations() {
		m, template, _ := strings.Cut(name, " ")
		want := strings.Split(template, "/")
		if m == method && slices.EqualFunc(steps, want, func(got, want string) bool {
			return got == want || strings.HasPrefix(want, "{") && got != ""
		}) {
			return op
		}
	}
	return nil
}

// checkReply compares a response with the document: status, media type, schema.
func (d *document) checkReply(t *testing.T, method, path string, r *reply) {
	t.Helper()
	op := d.operation(method, path)
	if op == nil {
		return // a path or method that does not exist
	}
	responses := op["responses"].(map[string]any)
	described, ok := responses[strconv.Itoa(r.status)].(map[string]any)
	if !ok && (r.status == 405 || r.status == 500) {
		described, ok = responses["default"].(map[string]any)
	}
	if !ok {
		t.Errorf("%s %s: status %d is not in openapi.json", method, path, r.status)
		return
	}
	content, _ := d.resolve(described)["content"].(map[string]any)
	if content == nil {
		if len(r.body) > 0 {
			t.Errorf("%s %s: status %d has a body, openapi.json says none", method, path, r.status)
		}
		return
	}
	mediaType, _, _ := mime.ParseMediaType(r.header.Get("Content-Type"))
	media, ok := content[mediaType].(map[string]any)
	if !ok {
		t.Errorf("%s %s: status %d has type %q, not in openapi.json", method, path, r.status, mediaType)
		return
	}
	if !strings.HasSuffix(mediaType, "/json") && !strings.HasSuffix(mediaType, "+json") {
		return
	}
	var value any
	if err := json.Unmarshal(r.body, &value); err != nil {
		t.Errorf("%s %s: %v", method, path, err)
		return
	}
	for _, fault := range d.faults("body", value, media["schema"].(map[string]any)) {
		t.Errorf("%s %s: %s", method, path, fault)
	}
}

// faults lists where a value breaks a schema.
func (d *document) faults(at string, v any, schema map[string]any) (list []string) {
	schema = d.resolve(schema)
	if want, ok := schema["const"]; ok && v != want {
		list = append(list, fmt.Sprintf("%s is %v, not %v", at, v, want))
	}
	if enum, ok := schema["enum"].([]any); ok && !slices.Contains(enum, v) {
		list = append(list, fmt.Sprintf("%s is %v, not one of %v", at, v, enum))
	}
	if want, ok := schema["type"]; ok && !hasType(v, want) {
		return append(list, fmt.Sprintf("%s is %v, not of type %v", at, v, want))
	}
	if schema["format"] == "date-time" {
		if _, err := time.Parse(time.RFC3339, v.(string)); err != nil {
			list = append(list, fmt.Sprintf("%s: %v", at, err))
		}
	}
	switch v := v.(type) {
	case []any:
		for i, item := range v {
			list = append(list, d.faults(fmt.Sprintf("%s[%d]", at, i), item, schema["items"].(map[string]any))...)
		}
	case map[string]any:
		list = append(list, d.objectFaults(at, v, schema)...)
	}
	return list
}

func (d *document) objectFaults(at string, v, schema map[string]any) (list []string) {
	required, _ := schema["required"].([]any)
	for _, name := range required {
		if _, ok := v[name.(string)]; !ok {
			list = append(list, fmt.Sprintf("%s lacks %v", at, name))
		}
	}
	properties, _ := schema["properties"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(v)) {
		if p, ok := properties[name].(map[string]any); ok {
			list = append(list, d.faults(at+"."+name, v[name], p)...)
			continue
		}
		switch extra := schema["additionalProperties"].(type) {
		case map[string]any:
			list = append(list, d.faults(at+"."+name, v[name], extra)...)
		case bool:
			if !extra {
				list = append(list, fmt.Sprintf("%s has %s, which is not described", at, name))
			}
		}
	}
	return list
}

func hasType(v, want any) bool {
	if many, ok := want.([]any); ok {
		return slices.ContainsFunc(many, func(w any) bool { return hasType(v, w) })
	}
	switch v := v.(type) {
	case string:
		return want == "string"
	case bool:
		return want == "boolean"
	case float64:
		return want == "number" || want == "integer" && v == float64(int64(v))
	case []any:
		return want == "array"
	case map[string]any:
		return want == "object"
	}
	return want == "null"
}
