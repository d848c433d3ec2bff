package watchers

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

// Metrics count what sources and watchers do. They outlive a Runner, which a
// changed configuration replaces. A nil *Metrics counts nothing.
type Metrics struct {
	visits       *prometheus.CounterVec
	observations *prometheus.CounterVec
	ticks        *prometheus.HistogramVec
	alerts       *prometheus.CounterVec
}

// NewMetrics registers the metrics; it panics if they are registered already.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		visits: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "chokepoint_source_visits_total", Help: "Visits to sources, by how they ended.",
		}, []string{"source", "class"}),
		observations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "chokepoint_observations_total", Help: "Observations that sources brought, by kind.",
		}, []string{"kind"}),
		ticks: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "chokepoint_tick_seconds", Help: "How long a watcher's tick took, from reading the journal to its commit.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 8),
		}, []string{"watcher"}),
		alerts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "chokepoint_alerts_total", Help: "Alerts that watchers and sources gave, by topic.",
		}, []string{"topic"}),
	}
	reg.MustRegister(m.visits, m.observations, m.ticks, m.alerts)
	return m
}

func (m *Metrics) visited(source string, v Visit, alerts []chokepoint.Alert) {
	if m == nil {
		return
	}
	m.visits.WithLabelValues(source, string(v.Class)).Inc()
	for _, o := range v.Observations {
		m.observations.WithLabelValues(string(o.Kind)).Inc()
	}
	m.count(alerts)
}

func (m *Metrics) ticked(watcher chokepoint.Topic, took time.Duration, alerts []chokepoint.Alert) {
	if m == nil {
		return
	}
	m.ticks.WithLabelValues(string(watcher)).Observe(took.Seconds())
	m.count(alerts)
}

func (m *Metrics) count(alerts []chokepoint.Alert) {
	for _, a := range alerts {
		m.alerts.WithLabelValues(string(a.Topic)).Inc()
	}
}
