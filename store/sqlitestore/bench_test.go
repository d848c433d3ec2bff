package sqlitestore

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/store"
)

var benchTime = time.Date(2026, 3, 2, 14, 30, 0, 0, time.UTC)

// crowd puts n chats that follow the topic "lta".
func crowd(b *testing.B, s *Store, n int) {
	b.Helper()
	const page = 1000
	for from := 0; from < n; from += page {
		err := s.write(b.Context(), "put chats", func(tx *tx) error {
			for i := from; i < min(from+page, n); i++ {
				c := chokepoint.Chat{
					ID: chokepoint.ChatID{Platform: chokepoint.Telegram, ID: fmt.Sprint(-1_000_000_000 - i)}, Title: "a chat", Language: chokepoint.English,
					Zone: "America/New_York", Topics: []chokepoint.Topic{"aaoi-texas", "lta", "prices"}, Quiet: chokepoint.QuietHours{From: 1380, To: 420}, Changed: benchTime,
				}
				body, err := encode(c)
				if err != nil {
					return err
				}
				lane, err := tx.lane(c.ID)
				if err != nil {
					return err
				}
				if err := tx.putChat(lane, c, body); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

func benchAlert(i int) chokepoint.Alert {
	id := fmt.Sprintf("story%06d", i)
	return chokepoint.Alert{
		ID: chokepoint.AlertID(id), Story: chokepoint.StoryID(id), Kind: chokepoint.AlertAgreement, Topic: "lta", Severity: chokepoint.Urgent, Score: 80,
		Seen: benchTime, At: benchTime, Headline: "A long-term agreement", Facts: chokepoint.Facts{"buyer": "EXAMPLE", "supplier": "EXMP"},
		Evidence: []chokepoint.Evidence{{URL: "https://news.example/1", Publisher: "Example Wire", Title: "A long-term agreement", Excerpt: strings.Repeat("text ", 80)}},
	}
}

// deliver owes an alert to n chats, and has workers settle each: with where
// the story stands, and with the lane's pace.
func deliver(ctx context.Context, s *Store, i, n, workers, page int) error {
	if err := s.Publish(ctx, benchTime, []chokepoint.Alert{benchAlert(i)}); err != nil {
		return err
	}
	for more := true; more; {
		var err error
		if more, err = s.Spread(ctx, benchTime, 1000); err != nil {
			return err
		}
	}
	var settled atomic.Int64
	var g errgroup.Group
	for range workers {
		g.Go(func() error {
			for {
				gs, err := s.Grants(ctx, benchTime, chokepoint.Telegram, "w", time.Minute, page)
				if err != nil || len(gs) == 0 {
					return err
				}
				batch := make([]chokepoint.Settlement, len(gs))
				for i, g := range gs {
					batch[i] = chokepoint.Settlement{Grant: g, Outcome: chokepoint.Outcome{
						Kind: chokepoint.Sent, Pace: chokepoint.Pace{TAT: benchTime.Add(time.Second)},
						Posting: &chokepoint.Posting{Chat: g.Chat.ID, Story: g.Alert.Story, Alert: g.Alert.ID, Message: "12345", Edited: benchTime},
					}}
				}
				lost, err := s.Settle(ctx, benchTime, batch)
				if err != nil {
					return err
				}
				settled.Add(int64(len(gs) - len(lost)))
			}
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if settled.Load() != int64(n) {
		return fmt.Errorf("settled %d of %d", settled.Load(), n)
	}
	return nil
}

// BenchmarkOutbox says how many deliveries a second go from owed to settled,
// and beside it how many plain rows of 216 bytes the same file takes and gives
// back, durably, a hundred to a commit: the most that could be.
func BenchmarkOutbox(b *testing.B) {
	for _, c := range []struct{ chats, workers, page int }{{200, 1, 1}, {200, 8, 1}, {10_000, 1, 100}, {10_000, 4, 100}, {10_000, 4, 500}} {
		b.Run(fmt.Sprintf("workers=%d/page=%d", c.workers, c.page), func(b *testing.B) {
			s := open(b, filepath.Join(b.TempDir(), "store.db"))
			crowd(b, s, c.chats)
			i := 0
			for b.Loop() {
				if err := deliver(b.Context(), s, i, c.chats, c.workers, c.page); err != nil {
					b.Fatal(err)
				}
				i++
			}
			b.ReportMetric(float64(i*c.chats)/b.Elapsed().Seconds(), "deliveries/s")
		})
	}
	b.Run("limit", func(b *testing.B) {
		s := open(b, filepath.Join(b.TempDir(), "store.db"))
		row := strings.Repeat("x", 200)
		if err := s.write(b.Context(), "make", func(tx *tx) error {
			return tx.exec(`CREATE TABLE raw (id INTEGER PRIMARY KEY, lane INTEGER, body TEXT)`)
		}); err != nil {
			b.Fatal(err)
		}
		n := 0
		for b.Loop() {
			for _, text := range []string{`INSERT INTO raw (id, lane, body) VALUES (?, 1, ?)`, `DELETE FROM raw WHERE id = ? AND ? <> ''`} {
				err := s.write(b.Context(), "rows", func(tx *tx) error {
					for i := range 100 {
						if err := tx.exec(text, i, row); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					b.Fatal(err)
				}
			}
			n += 100
		}
		b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "rows/s")
	})
}

// BenchmarkCommit says how long a watcher's step with one alert takes: as long
// with a hundred thousand followers as with one.
func BenchmarkCommit(b *testing.B) {
	for _, chats := range []int{1, 100_000} {
		b.Run(fmt.Sprintf("followers=%d", chats), func(b *testing.B) {
			s := open(b, filepath.Join(b.TempDir(), "store.db"))
			crowd(b, s, chats)
			l, err := s.Acquire(b.Context(), benchTime, "watcher/lta", "b", time.Hour)
			if err != nil {
				b.Fatal(err)
			}
			i := 0
			for b.Loop() {
				err := s.Commit(b.Context(), benchTime, store.Step{
					Lease: l, Watcher: "lta", State: []byte(`{"seen":["a","b"]}`), Alerts: []chokepoint.Alert{benchAlert(i)},
					Cards:  []chokepoint.Card{{Kind: chokepoint.CardAgreement, ID: "A×B", State: "filed", Updated: benchTime}},
					Report: chokepoint.TickReport{Watcher: "lta", Began: benchTime, Judged: 1, Alerts: 1},
				})
				if err != nil {
					b.Fatal(err)
				}
				i++
			}
		})
	}
}

// BenchmarkRecord says how long a source's step takes, by how many news are
// in it.
func BenchmarkRecord(b *testing.B) {
	for _, news := range []int{0, 1, 50} {
		b.Run(fmt.Sprintf("news=%d", news), func(b *testing.B) {
			s := open(b, filepath.Join(b.TempDir(), "store.db"))
			l, err := s.Acquire(b.Context(), benchTime, "source/feed", "b", time.Hour)
			if err != nil {
				b.Fatal(err)
			}
			i := 0
			for b.Loop() {
				obs := make([]chokepoint.Observation, news)
				for j := range obs {
					i++
					obs[j] = chokepoint.Observation{
						ID: chokepoint.NewObservationID("feed", fmt.Sprint(i)), Source: "feed", Kind: chokepoint.KindNews, At: benchTime, Seen: benchTime,
						News: &chokepoint.News{Evidence: chokepoint.Evidence{URL: "https://news.example/1", Publisher: "Example Wire", Title: "A title", Excerpt: strings.Repeat("text ", 60)}},
					}
				}
				if _, err := s.Record(b.Context(), benchTime, store.SourceStep{Lease: l, Source: "feed", Cursor: "c", Observations: obs}); err != nil {
					b.Fatal(err)
				}
			}
			if news > 0 {
				b.ReportMetric(float64(i)/b.Elapsed().Seconds(), "observations/s")
			}
		})
	}
}
