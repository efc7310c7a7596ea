package tricks

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// document is the node's own description of its admin API: a test of package admin holds it against
// the table of routes, so a new route is tried without a word here.
type document struct {
	Paths      map[string]map[string]operation
	Components struct {
		Parameters map[string]parameter
		Schemas    map[string]struct{ Properties map[string]any }
	}
}

type operation struct {
	Security    []any
	Parameters  []parameter
	RequestBody struct {
		Content map[string]struct {
			Schema   parameter
			Examples map[string]struct{ Value map[string]any }
		}
	}
}

// parameter is one, or a reference to what is described elsewhere.
type parameter struct {
	Ref      string `json:"$ref"`
	Name, In string
}

// aimed is a request of an operation at a device of another tenant; other: it says so.
func (d *document) aimed(path string, op *operation) (target, body string, other bool) {
	path = strings.NewReplacer("{tenant}", "default", "{device}", "d00000", "{file}", "app.js").Replace(path)
	other = strings.Contains(path, "/default")
	var query []string
	for _, p := range op.Parameters {
		if p.Ref != "" {
			p = d.Components.Parameters[last(p.Ref)]
		}
		switch {
		case p.In == "path":
			path = strings.ReplaceAll(path, "{"+p.Name+"}", "1")
		case p.In == "query" && p.Name == "tenant":
			query, other = append(query, "tenant=default"), true
		case p.In == "query" && p.Name == "follow":
			query = append(query, "follow=false")
		}
	}
	if content, has := op.RequestBody.Content["application/json"]; has {
		value := map[string]any{}
		for _, name := range slices.Sorted(maps.Keys(content.Examples)) {
			maps.Copy(value, content.Examples[name].Value)
			break
		}
		if _, has := d.Components.Schemas[last(content.Schema.Ref)].Properties["tenant"]; has {
			value["tenant"], other = "default", true
		}
		text, _ := json.Marshal(value) // it was JSON
		body = string(text)
	}
	if len(query) > 0 {
		path += "?" + strings.Join(query, "&")
	}
	return path, body, other
}

func last(ref string) string { return ref[strings.LastIndexByte(ref, '/')+1:] }

// apart is what everyRoute comes to when the tenants are.
const apart = "each is apart"

// everyRoute asks for each route of the API with the token of one tenant what is another's, and what is
// the node's; then, where a route gives what is the token's own, for all that it gives.
func (t *try) everyRoute() string {
	status, text := t.api("GET", "/openapi.json", t.doors.Bound, "")
	var doc document
	if err := json.Unmarshal(text, &doc); err != nil || len(doc.Paths) < 20 {
		return fmt.Sprintf("the API is described with %s, by %d paths, %v", status, len(doc.Paths), err)
	}
	for path, operations := range doc.Paths {
		for method, op := range operations {
			if op.Security != nil && len(op.Security) == 0 {
				continue // open to everybody: it says nothing of tenants
			}
			if how := t.route(&doc, strings.ToUpper(method), path, &op); how != "" {
				return how
			}
		}
	}
	return apart
}

// route is "" where a route is as it should be.
func (t *try) route(doc *document, method, path string, op *operation) string {
	target, body, other := doc.aimed(path, op)
	status, answer := t.api(method, target, t.doors.Bound, body)
	own := path == "/v1/token" || path == "/openapi.json" // of every token
	switch {
	case strings.Contains(string(answer), "d0000"):
		return fmt.Sprintf("%s %s names a device of another tenant", method, target)
	case status != "403" && (!own || status != "200"):
		return fmt.Sprintf("%s %s: %s %.200s", method, target, status, answer)
	case !other || method != "GET" || strings.Contains(path, "{"):
		return ""
	}
	target = strings.ReplaceAll(target, "tenant=default", "")
	if status, answer = t.api(method, target, t.doors.Bound, ""); status != "200" || strings.Contains(string(answer), "d0000") {
		return fmt.Sprintf("%s %s: %s, %.200s", method, target, status, answer)
	}
	return ""
}
