// Package web shows the program to machines: liveness, readiness and metrics.
// It reads and never writes.
package web

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

// Reader is the part of the program that is shown. It cannot write.
type Reader interface {
	Ping(ctx context.Context) error
	Depth(ctx context.Context, now time.Time) (chokepoint.Depth, error)
	Health(ctx context.Context) ([]chokepoint.Health, error)
	Ticks(ctx context.Context) ([]chokepoint.TickReport, error)
	// Stopped is the platforms that will not have us, with the reason.
	Stopped() map[chokepoint.Platform]string
}

// timeout bounds what one request may ask of the store.
const timeout = 3 * time.Second

// New is a handler of /healthz (the process answers), /readyz (it can do its
// work: the store answers and no platform has refused us; 503 with the reasons
// otherwise) and /metrics (Prometheus).
func New(r Reader, g prometheus.Gatherer, now func() time.Time) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok\n"))
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, req *http.Request) {
		ctx, cancel := context.WithTimeout(req.Context(), timeout)
		defer cancel()
		s := readiness(ctx, r, now())
		w.Header().Set("Content-Type", "application/json")
		if !s.Ready {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(s)
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(g, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}))
	return headers(mux)
}

// Status is what /readyz answers.
type Status struct {
	Ready   bool                           `json:"ready"`
	Store   string                         `json:"store"`             // "ok", or why not
	Stopped map[chokepoint.Platform]string `json:"stopped,omitempty"` // platforms that refuse us
	Sources struct {
		Good    int      `json:"good"`
		Failing []string `json:"failing,omitempty"`
	} `json:"sources"`
	Outbox *chokepoint.Depth `json:"outbox,omitempty"`
}

func readiness(ctx context.Context, r Reader, now time.Time) Status {
	s := Status{Store: "ok", Stopped: r.Stopped()}
	if err := r.Ping(ctx); err != nil {
		s.Store = err.Error()
	} else {
		if d, err := r.Depth(ctx, now); err == nil {
			s.Outbox = &d
		}
		if hs, err := r.Health(ctx); err == nil {
			for _, h := range hs {
				if h.Class.Good() {
					s.Sources.Good++
				} else if h.Class != chokepoint.NotAsked {
					s.Sources.Failing = append(s.Sources.Failing, h.Source)
				}
			}
		}
	}
	// A failing source does not make the program unready: it is told in the
	// chats, and a restart would not mend it.
	s.Ready = s.Store == "ok" && len(s.Stopped) == 0
	return s
}

// headers forbids what a page here never needs.
func headers(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'self'")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		h.ServeHTTP(w, r)
	})
}

// Collector exports what the store holds, read when it is scraped.
type Collector struct {
	r   Reader
	now func() time.Time
}

// NewCollector is a Prometheus collector over r.
func NewCollector(r Reader, now func() time.Time) *Collector { return &Collector{r, now} }

var (
	outbox = prometheus.NewDesc("chokepoint_outbox", "Deliveries by state.", []string{"state"}, nil)
	oldest = prometheus.NewDesc("chokepoint_outbox_oldest_seconds", "Age of the oldest delivery still owed.", nil, nil)
	good   = prometheus.NewDesc("chokepoint_source_good_timestamp_seconds", "When the source last gave a well-formed answer.", []string{"source"}, nil)
	fails  = prometheus.NewDesc("chokepoint_source_failures", "Visits in a row that were not well-formed.", []string{"source"}, nil)
	ticks  = prometheus.NewDesc("chokepoint_watcher_tick_timestamp_seconds", "When the watcher last ticked.", []string{"watcher"}, nil)
	up     = prometheus.NewDesc("chokepoint_store_up", "Whether the store answered.", nil, nil)
)

// Describe implements prometheus.Collector.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{outbox, oldest, good, fails, ticks, up} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	d, err := c.r.Depth(ctx, c.now())
	if err != nil {
		gauge(up, 0)
		return
	}
	gauge(up, 1)
	gauge(outbox, float64(d.Spreads), "spreading")
	gauge(outbox, float64(d.Pending), "pending")
	gauge(outbox, float64(d.Granted), "granted")
	gauge(outbox, float64(d.Dead), "dead")
	gauge(oldest, d.Oldest.Seconds())
	hs, err := c.r.Health(ctx)
	if err != nil {
		return
	}
	for _, h := range hs {
		if !h.Good.IsZero() {
			gauge(good, float64(h.Good.UnixMilli())/1e3, h.Source)
		}
		gauge(fails, float64(h.Failures), h.Source)
	}
	ts, err := c.r.Ticks(ctx)
	if err != nil {
		return
	}
	for _, t := range ts {
		gauge(ticks, float64(t.Began.UnixMilli())/1e3, t.Watcher)
	}
}
