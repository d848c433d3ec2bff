package web

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

type fake struct {
	ping    error
	stopped map[chokepoint.Platform]string
}

func (f fake) Ping(context.Context) error { return f.ping }
func (f fake) Depth(context.Context, time.Time) (chokepoint.Depth, error) {
	return chokepoint.Depth{Pending: 3, Dead: 1, Oldest: 90 * time.Second}, f.ping
}

func (f fake) Health(context.Context) ([]chokepoint.Health, error) {
	return []chokepoint.Health{
		{Source: "ir", Class: chokepoint.OKNew, Good: time.Unix(1000, 0)},
		{Source: "sec", Class: chokepoint.NotAsked},
		{Source: "tceq", Class: chokepoint.NotTheFormat, Failures: 4},
	}, nil
}

func (f fake) Ticks(context.Context) ([]chokepoint.TickReport, error) {
	return []chokepoint.TickReport{{Watcher: "aaoi-texas", Began: time.Unix(2000, 0)}}, nil
}
func (f fake) Stopped() map[chokepoint.Platform]string { return f.stopped }

func get(t *testing.T, f fake, path string) (int, string) {
	t.Helper()
	reg := prometheus.NewRegistry()
	reg.MustRegister(NewCollector(f, time.Now))
	w := httptest.NewRecorder()
	New(f, reg, time.Now).ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	b, _ := io.ReadAll(w.Result().Body)
	if w.Header().Get("X-Content-Type-Options") != "nosniff" {
		t.Error("no nosniff header")
	}
	return w.Code, string(b)
}

func TestReadyOnlyWhileTheStoreAnswersAndNoPlatformRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		fake fake
		code int
		want string
	}{
		"ready":            {fake{}, 200, `"good":1,"failing":["tceq"]`},
		"store away":       {fake{ping: errors.New("redis: 127.0.0.1:1 refuses")}, 503, "refuses"},
		"platform refuses": {fake{stopped: map[chokepoint.Platform]string{"discord": "token revoked"}}, 503, "token revoked"},
	} {
		t.Run(name, func(t *testing.T) {
			code, body := get(t, c.fake, "/readyz")
			if code != c.code || !strings.Contains(body, c.want) || !json.Valid([]byte(body)) {
				t.Errorf("%d %s", code, body)
			}
		})
	}
	if code, body := get(t, fake{ping: errors.New("away")}, "/healthz"); code != 200 || body != "ok\n" {
		t.Errorf("healthz with the store away: %d %q", code, body)
	}
}

func TestMetricsShowTheOutboxAndEverySource(t *testing.T) {
	_, body := get(t, fake{}, "/metrics")
	for _, want := range []string{
		`chokepoint_outbox{state="pending"} 3`, `chokepoint_outbox_oldest_seconds 90`,
		`chokepoint_source_good_timestamp_seconds{source="ir"} 1000`, `chokepoint_source_failures{source="tceq"} 4`,
		`chokepoint_watcher_tick_timestamp_seconds{watcher="aaoi-texas"} 2000`, `chokepoint_store_up 1`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("lacks %s in\n%s", want, body)
		}
	}
	if _, body := get(t, fake{ping: errors.New("away")}, "/metrics"); !strings.Contains(body, "chokepoint_store_up 0") {
		t.Error("a store that is away is not shown")
	}
}
