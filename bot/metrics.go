package bot

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

// metrics count what the bot does. Labels come from closed sets.
type metrics struct {
	deliveries, gates, attempts, unknown, late, commands, panics *prometheus.CounterVec
	seconds, owed                                                *prometheus.HistogramVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &metrics{
		deliveries: counter("chokepoint_deliveries_total", "Deliveries by what was decided on them, each time that they were tried.", "platform", "outcome"),
		gates:      counter("chokepoint_deliveries_gated_total", "Deliveries held back or not wanted, by reason.", "platform", "reason"),
		attempts:   counter("chokepoint_send_attempts_total", "Sends by what the platform answered: ok, or the class of the failure.", "platform", "class"),
		unknown:    counter("chokepoint_delivery_unknown_total", "Sends whose answer was lost.", "platform"),
		late:       counter("chokepoint_grants_lost_total", "Grants that ran out before they were settled.", "platform"),
		commands:   counter("chokepoint_inbound_total", "Commands by what became of them.", "platform", "result"),
		panics:     counter("chokepoint_panics_total", "Panics that were caught, by where.", "where"),
		seconds:    prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "chokepoint_send_seconds", Help: "Time of one send.", Buckets: prometheus.ExponentialBuckets(0.001, 4, 8)}, []string{"platform"}),
		owed:       prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "chokepoint_delivery_seconds", Help: "Time from when a delivery was owed until it was shown.", Buckets: prometheus.ExponentialBuckets(0.004, 4, 12)}, []string{"platform"}),
	}
	if reg != nil {
		reg.MustRegister(m.deliveries, m.gates, m.attempts, m.unknown, m.late, m.commands, m.panics, m.seconds, m.owed)
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

// send counts one attempt, which ended with err.
func (m *metrics) send(p chokepoint.Platform, took time.Duration, err error) {
	class := "ok"
	var e *SendError
	switch {
	case errors.As(err, &e):
		class = e.Class.String()
	case errors.Is(err, errPanic):
		class = "panic"
	case err != nil:
		class = Transient.String()
	}
	m.attempts.WithLabelValues(string(p), class).Inc()
	m.seconds.WithLabelValues(string(p)).Observe(took.Seconds())
}

// delivered counts how long a delivery that was shown had been owed.
func (m *metrics) delivered(p chokepoint.Platform, owed time.Duration) {
	m.owed.WithLabelValues(string(p)).Observe(owed.Seconds())
}

func (m *metrics) panicked(where string) { m.panics.WithLabelValues(where).Inc() }
