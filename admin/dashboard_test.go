package admin_test

import (
	"net/http"
	"path"
	"regexp"
	"strings"
	"testing"
)

// dashboardScripts are the page's script and all that it imports, by name.
func dashboardScripts(f *fixture) map[string]string {
	scripts := map[string]string{}
	for todo := []string{"app.js"}; len(todo) > 0; todo = todo[1:] {
		if _, read := scripts[todo[0]]; read {
			continue
		}
		text := string(f.call("GET", "/dashboard/"+todo[0], "", "Authorization: ").want(http.StatusOK).body)
		scripts[todo[0]] = text
		for _, imported := range regexp.MustCompile(`(?m)^import .*'(.*)';$`).FindAllStringSubmatch(text, -1) {
			if !strings.HasPrefix(imported[1], "./") {
				f.t.Errorf("%s imports %s, which is not beside it", todo[0], imported[1])
			}
			todo = append(todo, path.Clean(imported[1]))
		}
	}
	return scripts
}

// The page loads what it needs from the node itself, and its policy forbids
// everything else.
func TestDashboard(t *testing.T) {
	f := newFixture(t)
	page := f.call("GET", "/", "", "Authorization: ").want(http.StatusOK)
	policy := page.header.Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none'; script-src 'self';") || strings.Contains(policy, "unsafe") {
		t.Errorf("the policy is %q", policy)
	}
	links := regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(string(page.body), -1)
	files := 0
	for _, link := range links {
		if link[1] == "data:," {
			continue
		}
		files++
		f.call("GET", "/"+link[1], "", "Authorization: ").want(http.StatusOK)
	}
	if files != 2 {
		t.Errorf("the page loads %d files, want its script and its style", files)
	}
	for _, inline := range []string{"<script>", "<style", " style=", " onclick="} {
		if strings.Contains(string(page.body), inline) {
			t.Errorf("the page holds %q, which its policy forbids", inline)
		}
	}
	f.call("GET", "/dashboard/nothing.js", "").problem(http.StatusNotFound, "not-found")
	f.call("GET", "/dashboard/..%2Fopenapi.json", "").problem(http.StatusNotFound, "not-found")
}

// The scripts put what devices say into the page as text.
func TestDashboard_NoMarkupFromData(t *testing.T) {
	scripts := dashboardScripts(newFixture(t))
	if len(scripts) < 5 {
		t.Errorf("only %d scripts were found", len(scripts))
	}
	for name, script := range scripts {
		for _, way := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "setHTML"} {
			if strings.Contains(script, way) {
				t.Errorf("%s uses %s", name, way)
			}
		}
	}
}
