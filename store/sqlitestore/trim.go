package sqlitestore

import (
	"context"
	"database/sql"
	"math"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/store"
)

// Trim looks at the oldest of each sort alone, so that a step takes as long
// however much is kept. The age of a journal's entry is the time since it was
// recorded.
func (s *Store) Trim(ctx context.Context, now time.Time, keep store.Keep, n int) (more bool, err error) {
	if n <= 0 {
		return false, nil
	}
	before := now.Add(-keep.Journal)
	err = s.write(ctx, "trim", func(tx *tx) error {
		more = false
		did := func(rows int64, err error) error {
			more = more || rows >= int64(n)
			return err
		}
		if err := tx.trimJournal(now, keep, n, did); err != nil {
			return err
		}
		if err := did(tx.changed(`DELETE FROM bars WHERE (symbol, day) IN (SELECT symbol, day FROM bars WHERE day < ? ORDER BY day LIMIT ?)`,
			before.UTC().Format(time.DateOnly), n)); err != nil {
			return err
		}
		if err := did(tx.changed(`DELETE FROM postings WHERE (story, lane) IN (SELECT story, lane FROM postings WHERE touched < ? ORDER BY touched LIMIT ?)`,
			nano(before), n)); err != nil {
			return err
		}
		if err := did(tx.changed(`DELETE FROM dead WHERE seq IN (SELECT seq FROM dead WHERE dead < ? ORDER BY dead LIMIT ?)`, nano(before), n)); err != nil {
			return err
		}
		return did(tx.trimAlerts(before, n))
	})
	return more && err == nil, err
}

// trimJournal drops entries that are old and that every watcher has read.
func (t *tx) trimJournal(now time.Time, keep store.Keep, n int, did func(int64, error) error) error {
	var read sql.NullInt64
	if _, err := t.row(`SELECT min(position) FROM watchers`, nil, &read); err != nil {
		return err
	}
	if !read.Valid {
		read.Int64 = math.MaxInt64 // there is no watcher
	}
	// The kinds there are, by one look-up each.
	rows, err := t.query(`WITH RECURSIVE k (kind) AS (SELECT min(kind) FROM journal
		UNION ALL SELECT (SELECT min(kind) FROM journal WHERE kind > k.kind) FROM k WHERE k.kind IS NOT NULL)
		SELECT kind FROM k WHERE kind IS NOT NULL`)
	kinds, err := all(rows, err, func(r *sql.Rows, k *chokepoint.Kind) error { return r.Scan(k) })
	if err != nil {
		return err
	}
	for _, kind := range kinds {
		age := keep.Journal
		if kind == chokepoint.KindQuote {
			age = keep.Quotes
		}
		err := did(t.changed(`DELETE FROM journal WHERE seq IN (
				SELECT seq FROM (SELECT seq, recorded FROM journal WHERE kind = ? AND seq <= ? ORDER BY seq LIMIT ?) WHERE recorded < ?)`,
			string(kind), read.Int64, n, nano(now.Add(-age))))
		if err != nil {
			return err
		}
	}
	return nil
}

// trimAlerts drops alerts that are old and that nothing refers to.
func (t *tx) trimAlerts(before time.Time, n int) (int64, error) {
	rows, err := t.query(`SELECT seq FROM alerts WHERE at < ?
		AND NOT EXISTS (SELECT 1 FROM spreads WHERE alert = alerts.seq)
		AND NOT EXISTS (SELECT 1 FROM deliveries WHERE alert = alerts.seq)
		AND NOT EXISTS (SELECT 1 FROM dead WHERE alert = alerts.seq) ORDER BY at LIMIT ?`, nano(before), n)
	seqs, err := all(rows, err, func(r *sql.Rows, seq *int64) error { return r.Scan(seq) })
	if err != nil {
		return 0, err
	}
	for _, seq := range seqs {
		if err := t.exec(`DELETE FROM alert_lanes WHERE alert = ?`, seq); err != nil {
			return 0, err
		}
		if err := t.exec(`DELETE FROM alerts WHERE seq = ?`, seq); err != nil {
			return 0, err
		}
	}
	return int64(len(seqs)), nil
}
