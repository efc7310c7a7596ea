package admin

import (
	"fmt"
	"net/http"
	"runtime"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"
)

// Sample is one value of a series of SeriesTable.
type Sample struct {
	Name string
	// Labels are the values in the order of the series' label names.
	Labels []string
	Value  float64
	// Histogram stands for Value in a series of TypeHistogram, and nowhere else.
	Histogram *Histogram
}

// Histogram is how often something was in which class. The collector reads it
// before the call of emit returns.
type Histogram struct {
	Bounds []float64 // the upper bounds of the classes, growing, in the series' unit
	Counts []uint64  // of each class by itself, and of what is above all bounds
	Sum    float64
}

// Source hands over its samples by calling emit, from the scrape's goroutine;
// it reads counters and must not block. emit must not be kept.
type Source func(emit func(Sample))

// collector renders samples at each scrape; nothing is kept in between, so a
// counter costs its owner one add and no library.
type collector struct {
	// Immutable after construction.
	series  map[string]described
	sources []Source
}

type described struct {
	Series
	desc *prometheus.Desc
}

func newCollector(sources []Source) *collector {
	c := &collector{series: make(map[string]described), sources: sources}
	for _, s := range SeriesTable() {
		c.series[s.Name] = described{s, prometheus.NewDesc(s.Name, s.Help, s.Labels, nil)}
	}
	return c
}

// Describe is part of prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, s := range c.series {
		ch <- s.desc
	}
}

// Collect is part of prometheus.Collector. A sample that the table does not
// know becomes an error of the scrape: the others are still shown.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	for _, source := range c.sources {
		source(func(s Sample) { ch <- c.render(s) })
	}
}

func (c *collector) render(s Sample) prometheus.Metric {
	d, ok := c.series[s.Name]
	if !ok {
		err := fmt.Errorf("admin: series %q is not in the table", s.Name)
		return prometheus.NewInvalidMetric(prometheus.NewInvalidDesc(err), err)
	}
	m, err := d.metric(s)
	if err != nil {
		return prometheus.NewInvalidMetric(d.desc, fmt.Errorf("admin: series %s: %w", s.Name, err))
	}
	return m
}

// metric is a sample of the type that the table says.
func (d *described) metric(s Sample) (prometheus.Metric, error) {
	h := s.Histogram
	switch {
	case (h != nil) != (d.Type == TypeHistogram):
		return nil, fmt.Errorf("the sample is not of a %s", d.Type)
	case d.Type == TypeCounter:
		return prometheus.NewConstMetric(d.desc, prometheus.CounterValue, s.Value, s.Labels...)
	case d.Type == TypeGauge:
		return prometheus.NewConstMetric(d.desc, prometheus.GaugeValue, s.Value, s.Labels...)
	case len(h.Counts) != len(h.Bounds)+1:
		return nil, fmt.Errorf("%d bounds make no %d classes", len(h.Bounds), len(h.Counts))
	}
	upTo := make(map[float64]uint64, len(h.Bounds))
	all := uint64(0)
	for i, bound := range h.Bounds {
		all += h.Counts[i]
		upTo[bound] = all
	}
	return prometheus.NewConstHistogram(d.desc, all+h.Counts[len(h.Bounds)], h.Sum, upTo, s.Labels...)
}

func (s *Server) metricsHandler() http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		newCollector(append([]Source{s.ownSamples}, s.cfg.Sources...)),
	)
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{
		ErrorLog:            scrapeLog{s.log},
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: 4, // a scrape walks every counter: a few at a time
	})
}

// scrapeLog tells of samples that could not be shown.
type scrapeLog struct{ log *zap.Logger }

func (l scrapeLog) Println(v ...any) {
	l.log.Warn("scrape incomplete", zap.String("err", fmt.Sprint(v...)))
}

// counters are admin's own.
type counters struct {
	// Atomic.
	requests     [6]atomic.Uint64 // by first digit of the status; 0 is none
	tailsDropped atomic.Uint64
	evicted      atomic.Uint64 // connections
}

func (c *counters) request(status int) {
	if class := status / 100; class > 0 && class < len(c.requests) {
		c.requests[class].Add(1)
	}
}

func (s *Server) ownSamples(emit func(Sample)) {
	emit(Sample{Name: "edgeloop_build_info", Labels: []string{s.node.Node.Status().Version, runtime.Version()}, Value: 1})
	s.requestSamples("edgeloop_admin_requests_total", emit)
	emit(Sample{Name: "edgeloop_admin_tails", Value: float64(len(s.tails))})
	emit(Sample{Name: "edgeloop_admin_tails_dropped_total", Value: float64(s.counters.tailsDropped.Load())})
	emit(Sample{Name: "edgeloop_admin_evicted_connections_total", Value: float64(s.counters.evicted.Load())})
}
