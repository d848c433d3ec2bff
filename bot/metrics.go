package bot

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

// metrics count what the bot does. Labels come from closed sets.
type metrics struct {
	deliveries, gates, unknown, late, commands *prometheus.CounterVec
	seconds                                    *prometheus.HistogramVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &metrics{
		deliveries: counter("chokepoint_deliveries_total", "Attempts by what became of them.", "platform", "outcome"),
		gates:      counter("chokepoint_deliveries_gated_total", "Deliveries held back or not wanted, by reason.", "platform", "reason"),
		unknown:    counter("chokepoint_delivery_unknown_total", "Sends whose answer was lost.", "platform"),
		late:       counter("chokepoint_grants_lost_total", "Grants that ran out before they were settled.", "platform"),
		commands:   counter("chokepoint_inbound_total", "Commands by what became of them.", "platform", "result"),
		seconds:    prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "chokepoint_send_seconds", Help: "Time of one send.", Buckets: prometheus.ExponentialBuckets(0.001, 4, 8)}, []string{"platform"}),
	}
	if reg != nil {
		reg.MustRegister(m.deliveries, m.gates, m.unknown, m.late, m.commands, m.seconds)
	}
	return m
}

var outcomes = [...]string{chokepoint.Sent: "sent", chokepoint.Retry: "retry", chokepoint.Snooze: "snooze", chokepoint.Dropped: "dropped", chokepoint.Dead: "dead"}

func (m *metrics) outcome(p chokepoint.Platform, o chokepoint.Outcome) {
	m.deliveries.WithLabelValues(string(p), outcomes[o.Kind]).Inc()
	if o.Unknown {
		m.unknown.WithLabelValues(string(p)).Inc()
	}
}

func (m *metrics) gated(p chokepoint.Platform, reason string) {
	m.gates.WithLabelValues(string(p), reason).Inc()
}

func (m *metrics) lost(p chokepoint.Platform, n int) {
	m.late.WithLabelValues(string(p)).Add(float64(n))
}

func (m *metrics) inbound(p chokepoint.Platform, result string) {
	m.commands.WithLabelValues(string(p), result).Inc()
}

func (m *metrics) send(p chokepoint.Platform, took time.Duration) {
	m.seconds.WithLabelValues(string(p)).Observe(took.Seconds())
}
