package sqlitestore

import (
	"context"
	"database/sql"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/store"
)

func (s *Store) Checkpoint(ctx context.Context, watcher string) (cp chokepoint.Checkpoint, err error) {
	var n int64
	_, err = s.row(ctx, `SELECT position, state FROM watchers WHERE watcher = ?`, []any{watcher}, &n, &cp.State)
	if err != nil {
		return chokepoint.Checkpoint{}, s.failed("checkpoint of "+watcher, err)
	}
	cp.Position = position(n)
	return cp, nil
}

func (s *Store) Commit(ctx context.Context, now time.Time, step store.Step) error {
	doing := "commit " + step.Watcher
	pos, err := number(step.Position)
	if err != nil {
		return s.failed(doing, err)
	}
	report, err := encode(step.Report)
	if err != nil {
		return s.failed(doing, err)
	}
	cards := make([]string, len(step.Cards))
	for i, c := range step.Cards {
		if cards[i], err = encode(c); err != nil {
			return s.failed(doing, err)
		}
	}
	alerts, err := alertRows(step.Alerts)
	if err != nil {
		return s.failed(doing, err)
	}
	return s.write(ctx, doing, func(tx *tx) error {
		if err := tx.holds(step.Lease, now); err != nil {
			return err
		}
		if err := tx.exec(`INSERT INTO watchers (watcher, position, state, report) VALUES (?, ?, ?, ?)
			ON CONFLICT (watcher) DO UPDATE SET position = excluded.position, state = ifnull(excluded.state, state), report = excluded.report`,
			step.Watcher, pos, blob(step.State), report); err != nil {
			return err
		}
		for i, c := range step.Cards {
			if err := tx.exec(`INSERT INTO cards (kind, id, body) VALUES (?, ?, ?) ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body`,
				string(c.Kind), c.ID, cards[i]); err != nil {
				return err
			}
		}
		for _, r := range step.Rules {
			if err := tx.exec(`UPDATE rules SET state = ?, fired = ?, firings = ?, done = ?
				WHERE platform = ? AND chat = ? AND id = ? AND symbol = ? AND text = ?`,
				blob(r.State), nano(r.Fired), r.Firings, yes(r.Done),
				string(r.Chat.Platform), r.Chat.ID, r.ID, string(r.Symbol), r.Text); err != nil {
				return err
			}
		}
		return tx.publish(alerts)
	})
}

// blob keeps a nil slice apart from an empty one: NULL is "nothing".
func blob(b []byte) any {
	if b == nil {
		return nil
	}
	return b
}

func (s *Store) Ticks(ctx context.Context) ([]chokepoint.TickReport, error) {
	rows, err := s.query(ctx, `SELECT report FROM watchers ORDER BY watcher`)
	ts, err := all(rows, err, scanBody[chokepoint.TickReport])
	return ts, s.failed("ticks", err)
}

func (s *Store) Board(ctx context.Context) ([]chokepoint.Card, error) {
	rows, err := s.query(ctx, `SELECT body FROM cards ORDER BY kind, id`)
	cs, err := all(rows, err, scanBody[chokepoint.Card])
	return cs, s.failed("board", err)
}

const ruleColumns = `platform, chat, id, symbol, text, state, made, fired, firings, done`

func scanRule(r *sql.Rows, v *chokepoint.Rule) error {
	var made, fired int64
	err := r.Scan(&v.Chat.Platform, &v.Chat.ID, &v.ID, &v.Symbol, &v.Text, &v.State, &made, &fired, &v.Firings, &v.Done)
	v.Made, v.Fired = moment(made), moment(fired)
	return err
}

func (s *Store) AllRules(ctx context.Context, known int64) ([]chokepoint.Rule, int64, error) {
	// The version first: if a rule changes in between, the next call tells.
	var version int64
	_, err := s.row(ctx, `SELECT value FROM counters WHERE name = 'rules'`, nil, &version)
	if err != nil {
		return nil, 0, s.failed("version of the rules", err)
	}
	if version == known {
		return nil, version, nil
	}
	rows, err := s.query(ctx, `SELECT `+ruleColumns+` FROM rules WHERE NOT done ORDER BY platform, chat, made, id`)
	rs, err := all(rows, err, scanRule)
	if err != nil {
		return nil, 0, s.failed("all rules", err)
	}
	return rs, version, nil
}

func (s *Store) SetRules(ctx context.Context, rules []chokepoint.Rule) error {
	return s.write(ctx, "set the configuration's rules", func(tx *tx) error {
		rows, err := tx.query(`SELECT ` + ruleColumns + ` FROM rules WHERE platform = '' AND chat = ''`)
		have, err := all(rows, err, scanRule)
		if err != nil {
			return err
		}
		stale := map[string]chokepoint.Rule{}
		for _, r := range have {
			stale[r.ID] = r
		}
		changed := false
		for _, r := range rules {
			r.Chat = chokepoint.ChatID{}
			old, known := stale[r.ID]
			delete(stale, r.ID)
			if known && old.Symbol == r.Symbol && old.Text == r.Text {
				continue
			}
			changed = true
			if err := tx.putRule(r); err != nil {
				return err
			}
		}
		for id := range stale {
			changed = true
			if err := tx.exec(`DELETE FROM rules WHERE platform = '' AND chat = '' AND id = ?`, id); err != nil {
				return err
			}
		}
		if !changed {
			return nil
		}
		return tx.rulesChanged()
	})
}

func (s *Store) Rules(ctx context.Context, id chokepoint.ChatID) ([]chokepoint.Rule, error) {
	rows, err := s.query(ctx, `SELECT `+ruleColumns+` FROM rules WHERE platform = ? AND chat = ? ORDER BY made, id`, string(id.Platform), id.ID)
	rs, err := all(rows, err, scanRule)
	return rs, s.failed("rules of "+id.String(), err)
}

func (s *Store) PutRule(ctx context.Context, r chokepoint.Rule) error {
	return s.write(ctx, "put rule "+r.ID+" of "+r.Chat.String(), func(tx *tx) error {
		if err := tx.putRule(r); err != nil {
			return err
		}
		return tx.rulesChanged()
	})
}

func (s *Store) DeleteRule(ctx context.Context, id chokepoint.ChatID, rule string) error {
	return s.write(ctx, "delete rule "+rule+" of "+id.String(), func(tx *tx) error {
		n, err := tx.changed(`DELETE FROM rules WHERE platform = ? AND chat = ? AND id = ?`, string(id.Platform), id.ID, rule)
		switch {
		case err != nil:
			return err
		case n == 0:
			return chokepoint.ErrNotFound
		}
		return tx.rulesChanged()
	})
}

func (t *tx) putRule(r chokepoint.Rule) error {
	return t.exec(`INSERT OR REPLACE INTO rules (`+ruleColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		string(r.Chat.Platform), r.Chat.ID, r.ID, string(r.Symbol), r.Text, blob(r.State), nano(r.Made), nano(r.Fired), r.Firings, yes(r.Done))
}

// rulesChanged gives the rules another version.
func (t *tx) rulesChanged() error {
	t.wakes(store.Changed)
	return t.exec(`UPDATE counters SET value = value + 1 WHERE name = 'rules'`)
}
