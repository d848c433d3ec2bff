package app

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/internal/config"
	"github.com/chokepoint-bot/chokepoint/internal/redistest"
)

// BenchmarkSourceToChat measures the whole program between the moment at which
// a source answers with something new and the moment at which a Telegram group
// shows it: read, kept, judged, addressed, sent. Waiting for the next visit to
// the source is not counted. Each iteration has a group of its own, so that the
// pace at which one group may be written to is not measured. A p99 needs many:
//
//	go test ./internal/app -run '^$' -bench SourceToChat -benchtime 100x
func BenchmarkSourceToChat(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) {
		sourceToChat(b, "sqlite:"+filepath.Join(b.TempDir(), "state.db"))
	})
	b.Run("redis", func(b *testing.B) {
		sourceToChat(b, redistest.Start(b).URL())
	})
}

func sourceToChat(b *testing.B, storeURL string) {
	w := newWorld(b, storeURL)
	served := &stamp{next: w.up}
	front := httptest.NewServer(served)
	b.Cleanup(front.Close)
	quotes, prices := w.cfg.Sources["quotes"], w.cfg.Watchers["price-thresholds"]
	quotes.Providers = []config.Provider{{Name: "yahoo-chart", URL: front.URL + "/query1.finance.yahoo.com"}}
	prices.Rules = nil
	w.cfg.Sources["quotes"], w.cfg.Watchers["price-thresholds"] = quotes, prices
	// Quotes are dated to the second: each is a second younger than the one
	// before, and the first old enough that none is of the future.
	quoted := time.Now().Add(-5 * time.Minute)
	w.up.Quotes().Set("AAOI", "30.00", quoted)
	s := w.start().app.store

	var took []time.Duration
	for b.Loop() {
		n := len(took)
		tg := int64(-2000 - n)
		id := chokepoint.ChatID{Platform: chokepoint.Telegram, ID: strconv.FormatInt(tg, 10)}
		w.telegram.AddChat(tg, "supergroup")
		if err := s.PutChat(b.Context(), chokepoint.Chat{ID: id, Language: "en", Zone: "UTC", Topics: []chokepoint.Topic{"price-thresholds"}}); err != nil {
			b.Fatal(err)
		}
		cents := 3000 + 2*n
		if err := s.PutRule(b.Context(), chokepoint.Rule{Chat: id, ID: "level", Symbol: "AAOI", Text: "above " + dollars(cents+1), Made: time.Now().UTC()}); err != nil {
			b.Fatal(err)
		}
		at := served.await(`"regularMarketPrice":` + dollars(cents+2) + ",")
		quoted = quoted.Add(time.Second)
		w.up.Quotes().Set("AAOI", dollars(cents+2), quoted)
		w.telegram.WaitMessages(b, tg, 1)
		took = append(took, time.Since(<-at))
	}
	slices.Sort(took)
	ms := func(part float64) float64 {
		return float64(took[int(part*float64(len(took)-1)+0.5)].Microseconds()) / 1000
	}
	b.ReportMetric(ms(0.5), "ms/median")
	b.ReportMetric(ms(0.99), "ms/p99")
	b.ReportMetric(0, "ns/op") // most of it is waiting for the next visit
}

func dollars(cents int) string { return fmt.Sprintf("%d.%02d", cents/100, cents%100) }

// A stamp stands before a source and takes the time when an answer that holds
// what is awaited was written.
type stamp struct {
	next http.Handler

	mu   sync.Mutex
	what []byte
	at   chan time.Time // nil once taken
}

// await returns where the time is told of the next answer that holds what.
func (s *stamp) await(what string) <-chan time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.what, s.at = []byte(what), make(chan time.Time, 1)
	return s.at
}

func (s *stamp) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rec := httptest.NewRecorder()
	s.next.ServeHTTP(rec, r)
	for k, v := range rec.Header() {
		w.Header()[k] = v
	}
	w.WriteHeader(rec.Code)
	body := rec.Body.Bytes()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at != nil && bytes.Contains(body, s.what) {
		s.at <- time.Now()
		s.at = nil
	}
	_, _ = w.Write(body) // the program may have ended
}
