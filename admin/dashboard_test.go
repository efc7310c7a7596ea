package admin_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

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

// The script puts what devices say into the page as text.
func TestDashboard_NoMarkupFromData(t *testing.T) {
	f := newFixture(t)
	script := string(f.call("GET", "/dashboard/app.js", "").want(http.StatusOK).body)
	for _, way := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"} {
		if strings.Contains(script, way) {
			t.Errorf("the script uses %s", way)
		}
	}
}

// Behind a proxy the page may lie under a path of its own: what it asks for is relative to
// that.
func TestDashboard_UnderAPath(t *testing.T) {
	f := newFixture(t)
	script := string(f.call("GET", "/dashboard/app.js", "").want(http.StatusOK).body)
	calls := regexp.MustCompile(`fetch\(([^,]*)`).FindAllStringSubmatch(script, -1)
	if len(calls) != 2 {
		t.Errorf("the script asks in %d places, want 2", len(calls))
	}
	for _, call := range calls {
		if strings.HasPrefix(call[1], "'/") || call[1] == "path" {
			t.Errorf("it asks for %s, from the root of the host", call[1])
		}
	}
}
