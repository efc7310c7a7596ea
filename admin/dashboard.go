package admin

import (
	"embed"
	"mime"
	"net/http"
	"path"
)

//go:embed dashboard
var dashboardFiles embed.FS // shared, never written

// dashboardPolicy lets the page run its own script and speak to this node, and
// nothing else, whatever a device may have put into its names and data.
const dashboardPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
	"img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// dashboardPage is open: it holds no data, and asks for the token itself.
func dashboardPage(w http.ResponseWriter, _ *http.Request) error {
	return serveDashboard(w, "index.html")
}

func dashboardFile(w http.ResponseWriter, r *http.Request) error {
	return serveDashboard(w, r.PathValue("file"))
}

func serveDashboard(w http.ResponseWriter, name string) error {
	content, err := dashboardFiles.ReadFile("dashboard/" + name)
	if err != nil {
		return kindNotFound.problem("the dashboard has no such file")
	}
	w.Header().Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
	w.Header().Set("Content-Security-Policy", dashboardPolicy)
	w.Header().Set("Referrer-Policy", "no-referrer")
	_, _ = w.Write(content)
	return nil
}
