package sqlitestore

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/store"
)

func (s *Store) Cursor(ctx context.Context, source string) (cursor string, err error) {
	_, err = s.row(ctx, `SELECT cursor FROM sources WHERE source = ?`, []any{source}, &cursor)
	return cursor, s.failed("cursor of "+source, err)
}

func (s *Store) Record(ctx context.Context, now time.Time, step store.SourceStep) (fresh int, err error) {
	doing := "record " + step.Source
	rows, err := entries(step.Observations)
	if err != nil {
		return 0, s.failed(doing, err)
	}
	health, err := encode(step.Health)
	if err != nil {
		return 0, s.failed(doing, err)
	}
	alerts, err := alertRows(step.Alerts)
	if err != nil {
		return 0, s.failed(doing, err)
	}
	err = s.write(ctx, doing, func(tx *tx) error {
		fresh = 0
		if err := tx.holds(step.Lease, now); err != nil {
			return err
		}
		for _, r := range rows {
			n, err := tx.changed(`INSERT INTO journal (id, kind, recorded, body) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
				string(r.ID), string(r.Kind), nano(now), r.body)
			if err != nil {
				return err
			}
			if n == 0 {
				continue
			}
			fresh++
			if r.Quote != nil {
				err = tx.exec(`INSERT INTO quotes (symbol, at, body) VALUES (?, ?, ?)
					ON CONFLICT (symbol) DO UPDATE SET at = excluded.at, body = excluded.body WHERE excluded.at >= at`,
					string(r.Quote.Symbol), nano(r.Quote.At), r.latest)
			} else if r.Bar != nil {
				err = tx.exec(`INSERT INTO bars (symbol, day, body) VALUES (?, ?, ?)
					ON CONFLICT (symbol, day) DO UPDATE SET body = excluded.body`,
					string(r.Bar.Symbol), r.Bar.Day, r.latest)
			}
			if err != nil {
				return err
			}
		}
		if fresh > 0 {
			tx.wakes(store.Journaled)
		}
		if err := tx.exec(`INSERT INTO sources (source, cursor, items, health) VALUES (?, ?, ?, ?)
			ON CONFLICT (source) DO UPDATE SET cursor = excluded.cursor, items = items + excluded.items, health = excluded.health`,
			step.Source, step.Cursor, fresh, health); err != nil {
			return err
		}
		return tx.publish(alerts)
	})
	if err != nil {
		return 0, err
	}
	return fresh, nil
}

// entry is an observation with what is written of it.
type entry struct {
	*chokepoint.Observation
	body   string
	latest string // its quote or bar alone
}

func entries(obs []chokepoint.Observation) ([]entry, error) {
	out := make([]entry, len(obs))
	for i := range obs {
		o := &obs[i]
		e := entry{Observation: o}
		var err error
		if e.body, err = encode(o); err != nil {
			return nil, err
		}
		switch {
		case o.Quote != nil:
			e.latest, err = encode(o.Quote)
		case o.Bar != nil:
			e.latest, err = encode(o.Bar)
		}
		if err != nil {
			return nil, err
		}
		out[i] = e
	}
	return out, nil
}

func (s *Store) Read(ctx context.Context, after chokepoint.Position, kinds []chokepoint.Kind, n int) ([]chokepoint.Entry, chokepoint.Position, error) {
	es, next, err := s.readJournal(ctx, after, kinds, n)
	if err != nil {
		return nil, "", s.failed("read the journal", err)
	}
	return es, next, nil
}

func (s *Store) readJournal(ctx context.Context, after chokepoint.Position, kinds []chokepoint.Kind, n int) ([]chokepoint.Entry, chokepoint.Position, error) {
	from, err := number(after)
	if err != nil || n <= 0 {
		return nil, after, err
	}
	// The end first: what is written meanwhile is beyond it, and not passed over.
	var end int64
	if _, err := s.row(ctx, `SELECT ifnull(max(seq), 0) FROM journal`, nil, &end); err != nil {
		return nil, "", err
	}
	text := `SELECT seq, body FROM journal WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?`
	args := []any{from, end, n}
	if len(kinds) > 0 {
		// Each kind by its index, so that a rare one is found at once.
		one := `SELECT * FROM (SELECT seq FROM journal WHERE kind = ? AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?)`
		text = `SELECT seq, body FROM journal WHERE seq IN (` + one + strings.Repeat(` UNION ALL `+one, len(kinds)-1) + `) ORDER BY seq LIMIT ?`
		args = nil
		for _, k := range kinds {
			args = append(args, string(k), from, end, n)
		}
		args = append(args, n)
	}
	rows, err := s.query(ctx, text, args...)
	last := from
	es, err := all(rows, err, func(r *sql.Rows, e *chokepoint.Entry) error {
		var body string
		if err := r.Scan(&last, &body); err != nil {
			return err
		}
		e.Position = position(last)
		return decode(body, &e.Observation)
	})
	if err != nil {
		return nil, "", err
	}
	if len(es) < n {
		last = max(end, from)
	}
	return es, position(last), nil
}

func (s *Store) Health(ctx context.Context) ([]chokepoint.Health, error) {
	rows, err := s.query(ctx, `SELECT health, items FROM sources ORDER BY source`)
	hs, err := all(rows, err, func(r *sql.Rows, h *chokepoint.Health) error {
		var body string
		var items int64
		if err := r.Scan(&body, &items); err != nil {
			return err
		}
		err := decode(body, h)
		h.Items = items
		return err
	})
	return hs, s.failed("health", err)
}

func (s *Store) Quotes(ctx context.Context) ([]chokepoint.Quote, error) {
	rows, err := s.query(ctx, `SELECT body FROM quotes ORDER BY symbol`)
	qs, err := all(rows, err, scanBody[chokepoint.Quote])
	return qs, s.failed("quotes", err)
}

func (s *Store) Bars(ctx context.Context, sym chokepoint.Symbol, from string) ([]chokepoint.Bar, error) {
	rows, err := s.query(ctx, `SELECT body FROM bars WHERE symbol = ? AND day >= ? ORDER BY day`, string(sym), from)
	bs, err := all(rows, err, scanBody[chokepoint.Bar])
	return bs, s.failed("bars of "+string(sym), err)
}

// scanBody reads a row that is one body.
func scanBody[T any](r *sql.Rows, v *T) error {
	var body string
	if err := r.Scan(&body); err != nil {
		return err
	}
	return decode(body, v)
}
