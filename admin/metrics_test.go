package admin_test

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"edgeloop/admin"
)

var update = flag.Bool("update", false, "rewrite the table in docs/metrics.md")

const (
	metricsDoc = "../docs/metrics.md"
	tableStart = "<!-- series: rewritten by go test ./admin -run TestMetrics_Document -update -->\n"
	tableEnd   = "<!-- end of series -->\n"
)

// docs/metrics.md lists every series of the table, and no other.
func TestMetrics_Document(t *testing.T) {
	text, err := os.ReadFile(metricsDoc)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), tableStart)
	listed, after, ended := strings.Cut(rest, tableEnd)
	if !found || !ended {
		t.Fatalf("%s has no marked table", metricsDoc)
	}
	want := renderTable()
	if *update {
		if err := os.WriteFile(metricsDoc, []byte(before+tableStart+want+tableEnd+after), 0o644); err != nil { //nolint:gosec // a page of the repository
			t.Fatal(err)
		}
		return
	}
	if listed != want {
		t.Errorf("%s does not list the series of SeriesTable; run with -update and look at the difference", metricsDoc)
	}
}

// renderTable is the table in markdown, one section per package.
func renderTable() string {
	var b strings.Builder
	section := ""
	for _, s := range admin.SeriesTable() {
		if part := packageOf(s.Name); part != section {
			section = part
			fmt.Fprintf(&b, "\n### %s\n\n| series | type | labels | meaning |\n|---|---|---|---|\n", section)
		}
		labels := strings.Join(s.Labels, "`, `")
		if labels != "" {
			labels = "`" + labels + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", s.Name, s.Type, labels, s.Help)
	}
	return b.String() + "\n"
}

func packageOf(series string) string { return strings.Split(series, "_")[1] }

// The names follow the house rule: edgeloop_<package>_<what>_<unit>, `_total`
// on counters and nowhere else, base units.
func TestMetrics_Names(t *testing.T) {
	packages := []string{"build", "eventloop", "doorman", "tls", "auth", "pool", "devicemgr", "gateway", "backbone", "admin", "log", "sink", "grpc", "mqttapi", "intake", "presence", "quota", "overload"}
	seen := map[string]bool{}
	for _, s := range admin.SeriesTable() {
		if seen[s.Name] {
			t.Errorf("%s is listed twice", s.Name)
		}
		seen[s.Name] = true
		if !strings.HasPrefix(s.Name, "edgeloop_") || !slices.Contains(packages, packageOf(s.Name)) {
			t.Errorf("%s does not name a package", s.Name)
		}
		if strings.HasSuffix(s.Name, "_total") != (s.Type == admin.TypeCounter) {
			t.Errorf("%s is a %s", s.Name, s.Type)
		}
		for _, bad := range []string{"_count", "_num", "_ms", "_micros", "_nanos", "_kb", "_size"} {
			if strings.Contains(s.Name, bad) {
				t.Errorf("%s has %q in its name", s.Name, bad)
			}
		}
		if !strings.HasSuffix(s.Help, ".") || strings.Contains(s.Help, "|") {
			t.Errorf("%s: the help is not a sentence: %q", s.Name, s.Help)
		}
		for _, l := range s.Labels {
			if packageOf(s.Name) == "quota" && l == "tenant" {
				continue // those that the configuration names
			}
			if slices.Contains([]string{"device", "tenant", "remote", "id"}, l) {
				t.Errorf("%s has label %s, which is no enum", s.Name, l)
			}
		}
	}
}

// everything emits one sample of each series that admin does not count itself.
func everything(emit func(admin.Sample)) {
	for _, s := range admin.SeriesTable() {
		elsewhere := s.Name == "edgeloop_admin_token_reloads_total" || strings.HasPrefix(s.Name, "edgeloop_admin_health_")
		if p := packageOf(s.Name); p == "admin" && !elsewhere || p == "build" {
			continue // the reloads are counted by who reads the files, probes by their own server
		}
		sample := admin.Sample{Name: s.Name, Value: 7, Labels: make([]string, len(s.Labels))}
		if s.Type == admin.TypeHistogram {
			sample.Histogram = &admin.Histogram{Bounds: []float64{1}, Counts: []uint64{1, 2}}
		}
		emit(sample)
	}
}

// scrape reads /metrics as Prometheus does.
func (f *fixture) scrape() map[string]*dto.MetricFamily {
	f.t.Helper()
	r := f.call("GET", "/metrics", "").want(http.StatusOK)
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(string(r.body)))
	if err != nil {
		f.t.Fatal(err)
	}
	return families
}

// What is rendered is what the table says: names, types, helps and labels, and
// beside it only the series of the runtime and the process.
func TestMetrics_Rendered(t *testing.T) {
	f := newFixture(t, func(c *admin.Config) { c.Sources = []admin.Source{everything} })
	f.call("GET", "/v1/node", "").want(http.StatusOK)
	families := f.scrape()
	for _, s := range admin.SeriesTable() {
		family, ok := families[s.Name]
		if !ok {
			t.Errorf("%s is not rendered", s.Name)
			continue
		}
		delete(families, s.Name)
		if got := strings.ToLower(family.GetType().String()); got != s.Type.String() || family.GetHelp() != s.Help {
			t.Errorf("%s is a %s, %q", s.Name, got, family.GetHelp())
		}
		var labels []string
		for _, l := range family.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		if want := slices.Sorted(slices.Values(s.Labels)); !slices.Equal(labels, want) {
			t.Errorf("%s has labels %v, want %v", s.Name, labels, want)
		}
	}
	for name := range families {
		if !strings.HasPrefix(name, "go_") && !strings.HasPrefix(name, "process_") && !strings.HasPrefix(name, "promhttp_") {
			t.Errorf("%s is rendered and not in the table", name)
		}
	}
	for _, name := range []string{"go_goroutines", "process_open_fds", "process_max_fds", "process_resident_memory_bytes"} {
		if families[name] == nil {
			t.Errorf("%s is missing", name)
		}
	}
}

// A sample that does not fit the table is left out; the others are shown.
func TestMetrics_BadSamples(t *testing.T) {
	f := newFixture(t, func(c *admin.Config) {
		c.Sources = []admin.Source{func(emit func(admin.Sample)) {
			emit(admin.Sample{Name: "edgeloop_surprise_total", Value: 1})
			emit(admin.Sample{Name: "edgeloop_gateway_drops_total", Value: 1})
			emit(admin.Sample{Name: "edgeloop_pool_lanes", Value: 5, Labels: []string{"extra"}})
			emit(admin.Sample{Name: "edgeloop_backbone_commit_seconds", Value: 3})
			emit(admin.Sample{Name: "edgeloop_pool_busy_workers", Histogram: &admin.Histogram{Counts: []uint64{1}}})
			emit(admin.Sample{Name: "edgeloop_pool_workers", Value: 3})
		}}
	})
	families := f.scrape()
	for _, name := range []string{
		"edgeloop_surprise_total", "edgeloop_gateway_drops_total", "edgeloop_pool_lanes",
		"edgeloop_backbone_commit_seconds", "edgeloop_pool_busy_workers",
	} {
		if families[name] != nil {
			t.Errorf("%s is shown", name)
		}
	}
	if got := families["edgeloop_pool_workers"].GetMetric()[0].GetGauge().GetValue(); got != 3 {
		t.Errorf("the good sample is shown as %v", got)
	}
}

// The classes of a histogram are counted each by itself and shown added up.
func TestMetrics_Histogram(t *testing.T) {
	sample := admin.Sample{
		Name:      "edgeloop_backbone_commit_seconds",
		Histogram: &admin.Histogram{Bounds: []float64{0.001, 0.5, 5}, Counts: []uint64{4, 0, 3, 2}, Sum: 27.5},
	}
	f := newFixture(t, func(c *admin.Config) { c.Sources = []admin.Source{func(emit func(admin.Sample)) { emit(sample) }} })
	h := f.scrape()["edgeloop_backbone_commit_seconds"].GetMetric()[0].GetHistogram()
	var got []string
	for _, b := range h.GetBucket() {
		got = append(got, fmt.Sprintf("%v:%d", b.GetUpperBound(), b.GetCumulativeCount()))
	}
	if want := "0.001:4 0.5:4 5:7 +Inf:9"; strings.Join(got, " ") != want || h.GetSampleCount() != 9 || h.GetSampleSum() != 27.5 {
		t.Errorf("shown as %v, %d, sum %v, want %s", got, h.GetSampleCount(), h.GetSampleSum(), want)
	}
	sample.Histogram.Counts = sample.Histogram.Counts[:3]
	if f.scrape()[sample.Name] != nil {
		t.Error("a histogram without its last class is shown")
	}
}

// admin counts its own requests by class, refusals included.
func TestMetrics_Own(t *testing.T) {
	f := newFixture(t)
	f.call("GET", "/v1/node", "").want(http.StatusOK)
	f.call("GET", "/v1/node", "").want(http.StatusOK)
	f.call("GET", "/v1/node", "", "Authorization: ").want(http.StatusUnauthorized)
	f.call("GET", "/nothing", "").want(http.StatusNotFound)
	got := map[string]float64{}
	for _, m := range f.scrape()["edgeloop_admin_requests_total"].GetMetric() {
		got[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
	}
	if got["2xx"] != 2 || got["4xx"] != 2 || got["5xx"] != 0 {
		t.Errorf("requests by class: %v", got)
	}
}
