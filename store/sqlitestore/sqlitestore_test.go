package sqlitestore

import (
	"log/slog"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/store"
	"github.com/chokepoint-bot/chokepoint/store/storetest"
)

func open(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(t.Context(), path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestStore(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	texts := map[string]bool{} // every statement that the suite ran
	storetest.Run(t, func(t *testing.T) storetest.Harness {
		path := filepath.Join(t.TempDir(), "store.db")
		s := open(t, path)
		t.Cleanup(func() {
			s.w.stop() // so that its statements can be looked at
			s.mu.Lock()
			defer s.mu.Unlock()
			mu.Lock()
			defer mu.Unlock()
			for text := range s.w.tx.stmts {
				texts[text] = true
			}
			for text := range s.stmts {
				texts[text] = true
			}
		})
		return storetest.Harness{Store: s, Reopen: func() store.Store {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			return open(t, path)
		}}
	})
	t.Run("no statement walks a table that grows", func(t *testing.T) {
		if len(texts) < 50 {
			t.Skipf("only %d statements were run: part of the suite was left out", len(texts))
		}
		s := open(t, filepath.Join(t.TempDir(), "store.db"))
		for _, text := range slices.Sorted(maps.Keys(texts)) {
			if verb, _, _ := strings.Cut(strings.TrimSpace(text), " "); verb == "BEGIN" || verb == "COMMIT" {
				continue
			}
			for _, step := range plan(t, s, text) {
				if walk.MatchString(step) && !allowed(text) {
					t.Errorf("%s\n\twalks: %s", text, step)
				}
			}
		}
	})
}

// walk is a step of a plan that reads a whole table or index, or sorts rows,
// of a table that grows.
var walk = regexp.MustCompile(`SCAN (journal|lanes|l|chats|c|followers|alerts|a|alert_lanes|deliveries|d|dead|postings|p|bars)\b|USE TEMP B-TREE`)

// allowed are those statements that return what they walk, or stop at once.
func allowed(text string) bool {
	for _, w := range []string{
		`FROM lanes JOIN chats`,                                // Chats: every chat
		`FROM rules WHERE NOT done`,                            // AllRules: every rule
		`FROM rules WHERE platform = ? AND chat = ? ORDER`,     // sorts a chat's rules
		`(SELECT count(*) FROM deliveries)`,                    // Depth counts
		`FROM dead d JOIN`,                                     // DeadLetters: the last few
		`SELECT body FROM alerts WHERE 1 ORDER`,                // Alerts: the last few
		`SELECT body FROM alerts WHERE 1 AND (NOT some`,        // likewise, passing over those for other chats
		`SELECT ifnull(max(seq), 0) FROM journal`,              // the last row
		`SELECT seq, body FROM journal WHERE seq IN (SELECT *`, // sorts a page
		`UPDATE OR IGNORE postings SET lane`,                   // two chats become one, once in a chat's life
		`ORDER BY due, id LIMIT ?3`,                            // sorts a page
		`FROM json_each(?) j JOIN`,                             // sorts a page
	} {
		if strings.Contains(text, w) {
			return true
		}
	}
	return false
}

func plan(t *testing.T, s *Store, text string) []string {
	t.Helper()
	args := make([]any, 60)
	rows, err := s.w.tx.conn.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+text, args[:strings.Count(numbered.ReplaceAllString(text, ""), "?")+highest(text)]...)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var id, parent, zero int
		var step string
		if err := rows.Scan(&id, &parent, &zero, &step); err != nil {
			t.Fatal(err)
		}
		out = append(out, step)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

var numbered = regexp.MustCompile(`\?(\d)`)

// highest is the highest number of a numbered parameter.
func highest(text string) int {
	n := 0
	for _, m := range numbered.FindAllStringSubmatch(text, -1) {
		n = max(n, int(m[1][0]-'0'))
	}
	return n
}

func TestAfterAKillWhatWasHeldIsFreeAtOnce(t *testing.T) {
	t.Parallel()
	ctx, now := t.Context(), time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	path := filepath.Join(t.TempDir(), "store.db")
	s := open(t, path)
	chat := chokepoint.ChatID{Platform: chokepoint.Telegram, ID: "1"}
	if err := s.PutChat(ctx, chokepoint.Chat{ID: chat, Topics: []chokepoint.Topic{"t"}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Publish(ctx, now, []chokepoint.Alert{{ID: "aaaaaaaa", Story: "aaaaaaaa", Topic: "t"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Spread(ctx, now, 10); err != nil {
		t.Fatal(err)
	}
	held, err := s.Grants(ctx, now, chat.Platform, "killed", time.Hour, 10)
	if err != nil || len(held) != 1 {
		t.Fatalf("%d grants, %v", len(held), err)
	}
	lease, err := s.Acquire(ctx, now, "platform:telegram", "killed", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	if err := s.Reclaim(ctx); err != nil {
		t.Fatal(err)
	}
	again, err := s.Grants(ctx, now, chat.Platform, "new", time.Hour, 10)
	if err != nil || len(again) != 1 || again[0].Token == held[0].Token {
		t.Errorf("granted %+v, %v", again, err)
	}
	if l, err := s.Acquire(ctx, now, "platform:telegram", "new", time.Hour); err != nil || l.Token <= lease.Token {
		t.Errorf("lease %+v, %v", l, err)
	}
}
