package sqlitestore

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/store"
)

// alertRow is an alert with what is written of it.
type alertRow struct {
	*chokepoint.Alert
	body string
}

func alertRows(alerts []chokepoint.Alert) ([]alertRow, error) {
	out := make([]alertRow, len(alerts))
	for i := range alerts {
		body, err := encode(&alerts[i])
		if err != nil {
			return nil, err
		}
		out[i] = alertRow{&alerts[i], body}
	}
	return out, nil
}

// publish writes alerts with their spreads: a row or two each, however many
// chats will hear of them.
func (t *tx) publish(alerts []alertRow) error {
	for _, a := range alerts {
		var seq int64
		fresh, err := t.row(`INSERT INTO alerts (id, topic, story, at, some, body) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING RETURNING seq`,
			[]any{string(a.ID), string(a.Topic), string(a.Story), nano(a.At), yes(len(a.Only) > 0), a.body}, &seq)
		if err != nil {
			return err
		}
		if !fresh {
			continue
		}
		for _, c := range a.Only {
			lane, err := t.lane(c)
			if err != nil {
				return err
			}
			if err := t.exec(`INSERT OR IGNORE INTO alert_lanes (alert, lane) VALUES (?, ?)`, seq, lane); err != nil {
				return err
			}
		}
		if err := t.exec(`INSERT INTO spreads (alert, lane) VALUES (?, 0)`, seq); err != nil {
			return err
		}
		t.wakes(store.Committed)
	}
	return nil
}

func (s *Store) Publish(ctx context.Context, _ time.Time, alerts []chokepoint.Alert) error {
	rows, err := alertRows(alerts)
	if err != nil {
		return s.failed("publish", err)
	}
	return s.write(ctx, "publish", func(tx *tx) error { return tx.publish(rows) })
}

func (s *Store) Spread(ctx context.Context, now time.Time, page int) (more bool, err error) {
	err = s.write(ctx, "spread", func(tx *tx) (err error) {
		more, err = tx.spread(now, page)
		return err
	})
	return more && err == nil, err
}

// Who an alert goes to, ?1 being the topic or the alert, from after lane ?2.
const (
	followers = ` FROM followers WHERE topic = ?1 AND lane > ?2`
	someLanes = ` FROM alert_lanes WHERE alert = ?1 AND lane > ?2`
)

func (t *tx) spread(now time.Time, page int) (more bool, err error) {
	var alert, after int64
	var topic string
	var some bool
	found, err := t.row(`SELECT s.alert, s.lane, a.topic, a.some FROM spreads s JOIN alerts a ON a.seq = s.alert ORDER BY s.alert LIMIT 1`,
		nil, &alert, &after, &topic, &some)
	if err != nil || !found {
		return false, err
	}
	from, of := followers, any(topic)
	if some {
		from, of = someLanes, any(alert)
	}
	var n int
	var last int64
	if _, err := t.row(`SELECT count(*), ifnull(max(lane), 0) FROM (SELECT lane`+from+` ORDER BY lane LIMIT ?3)`, []any{of, after, page}, &n, &last); err != nil {
		return false, err
	}
	if n > 0 {
		reach := from + ` AND lane <= ?3 AND NOT EXISTS (SELECT 1 FROM chats WHERE chats.lane = `
		to := reach + `followers.lane AND gone)`
		if some {
			to = reach + `alert_lanes.lane AND gone)`
		}
		owed, err := t.changed(`INSERT OR IGNORE INTO deliveries (lane, alert, queued) SELECT lane, ?4, ?5`+to+` ORDER BY lane`, of, after, last, alert, nano(now))
		if err != nil {
			return false, err
		}
		// A lane that is granted keeps the end of the grant: it is set right
		// when that is settled.
		if err := t.exec(`UPDATE lanes SET due = min(ifnull(due, max(hold, ?4)), max(hold, ?4)) WHERE head IS NULL AND id IN (SELECT lane`+to+`)`,
			of, after, last, nano(now)); err != nil {
			return false, err
		}
		if owed > 0 {
			t.wakes(store.Owed)
		}
	}
	if n < page {
		err = t.exec(`DELETE FROM spreads WHERE alert = ?`, alert)
	} else {
		err = t.exec(`UPDATE spreads SET lane = ? WHERE alert = ?`, last, alert)
	}
	if err != nil {
		return false, err
	}
	_, err = t.row(`SELECT EXISTS (SELECT 1 FROM spreads)`, nil, &more)
	return more, err
}

// granted is a grant as it is read: its bodies are decoded after the
// transaction.
type granted struct {
	chokepoint.Grant
	alert   int64
	chat    sql.NullString // its body
	posting struct{ alert, message, thread sql.NullString }
	edited  sql.NullInt64
}

func (s *Store) Grants(ctx context.Context, now time.Time, p chokepoint.Platform, _ string, ttl time.Duration, n int) ([]chokepoint.Grant, error) {
	doing := "grant lanes of " + string(p)
	var rows []granted
	bodies := map[int64]string{}
	err := s.write(ctx, doing, func(tx *tx) (err error) {
		if rows, err = tx.grant(now, p, ttl, n); err != nil {
			return err
		}
		for i := range rows {
			seq := rows[i].alert
			if _, have := bodies[seq]; have {
				continue
			}
			var body string
			if _, err := tx.row(`SELECT body FROM alerts WHERE seq = ?`, []any{seq}, &body); err != nil {
				return err
			}
			bodies[seq] = body
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	alerts := map[int64]*chokepoint.Alert{}
	for seq, body := range bodies {
		alerts[seq] = new(chokepoint.Alert)
		if err := decode(body, alerts[seq]); err != nil {
			return nil, s.failed(doing, err)
		}
	}
	out := make([]chokepoint.Grant, len(rows))
	for i := range rows {
		r := &rows[i]
		g := &out[i]
		*g = r.Grant
		g.Alert, g.Expires = alerts[r.alert], now.Add(ttl)
		if r.chat.Valid {
			if err := decode(r.chat.String, &g.Chat); err != nil {
				return nil, s.failed(doing, err)
			}
		}
		g.Delivery.Chat.Platform = p
		g.Chat.ID = g.Delivery.Chat
		g.Delivery.Alert = g.Alert.ID
		g.Delivery.ID = chokepoint.NewDeliveryID(g.Alert.ID, g.Chat.ID)
		if r.edited.Valid {
			g.Posting = &chokepoint.Posting{
				Chat: g.Chat.ID, Story: g.Alert.Story, Alert: chokepoint.AlertID(r.posting.alert.String),
				Message: r.posting.message.String, Thread: r.posting.thread.String, Edited: moment(r.edited.Int64),
			}
		}
	}
	return out, nil
}

// earliest is when a lane falls due once nothing of it is granted: ?1 is now,
// ?2 what it is held until. What is due already is due from now, so that lanes
// take turns.
const earliest = `max(?2, (SELECT CASE WHEN not_before = 0 THEN ?1 ELSE not_before END FROM deliveries WHERE lane = lanes.id ORDER BY not_before LIMIT 1))`

func (t *tx) grant(now time.Time, p chokepoint.Platform, ttl time.Duration, n int) ([]granted, error) {
	rows, err := t.query(`SELECT id FROM (
			SELECT * FROM (SELECT id, due FROM lanes WHERE head IS NULL AND platform = ?1 AND due <= ?2 ORDER BY due LIMIT ?3)
			UNION ALL
			SELECT * FROM (SELECT id, due FROM lanes WHERE head IS NOT NULL AND platform = ?1 AND due <= ?2 ORDER BY due LIMIT ?3)
		) ORDER BY due, id LIMIT ?3`, string(p), nano(now), max(n, 0))
	ids, err := all(rows, err, func(r *sql.Rows, id *int64) error { return r.Scan(id) })
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	list, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	lanes := string(list)
	// Snoozes that have ended are in line again, each in its old place.
	if err := t.exec(`UPDATE deliveries SET not_before = 0 WHERE lane IN (SELECT value FROM json_each(?)) AND not_before > 0 AND not_before <= ?`,
		lanes, nano(now)); err != nil {
		return nil, err
	}
	if err := t.exec(`UPDATE lanes SET token = ((token >> 32) + 1) << 32 | id, due = ?,
			head = (SELECT seq FROM deliveries WHERE lane = lanes.id AND not_before = 0 ORDER BY seq LIMIT 1)
		WHERE id IN (SELECT value FROM json_each(?))`, nano(now.Add(ttl)), lanes); err != nil {
		return nil, err
	}
	rows, err = t.query(`SELECT l.chat, l.token, l.tat, d.alert, d.queued, d.attempts, d.unknown, d.error, c.body, p.alert, p.message, p.thread, p.edited
		FROM json_each(?) j JOIN lanes l ON l.id = j.value JOIN deliveries d ON d.seq = l.head JOIN alerts a ON a.seq = d.alert
		LEFT JOIN chats c ON c.lane = l.id LEFT JOIN postings p ON p.lane = l.id AND p.story = a.story ORDER BY j.key`, lanes)
	gs, err := all(rows, err, func(r *sql.Rows, g *granted) error {
		var tat, queued int64
		d := &g.Delivery
		err := r.Scan(&d.Chat.ID, &g.Token, &tat, &g.alert, &queued, &d.Attempts, &d.Unknown, &d.LastErr,
			&g.chat, &g.posting.alert, &g.posting.message, &g.posting.thread, &g.edited)
		g.Pace.TAT, d.Queued = moment(tat), moment(queued)
		return err
	})
	if err == nil && len(gs) < len(ids) {
		err = t.exec(`UPDATE lanes SET due = `+earliest+` WHERE id IN (SELECT value FROM json_each(?3)) AND head IS NULL`, nano(now), 0, lanes)
	}
	return gs, err
}

func (s *Store) Due(ctx context.Context, p chokepoint.Platform) (time.Time, error) {
	var due int64
	_, err := s.row(ctx, `SELECT due FROM lanes WHERE head IS NULL AND platform = ? AND due IS NOT NULL ORDER BY due LIMIT 1`, []any{string(p)}, &due)
	return moment(due), s.failed("due of "+string(p), err)
}

func (s *Store) Settle(ctx context.Context, now time.Time, batch []chokepoint.Settlement) (lost []chokepoint.DeliveryID, err error) {
	if len(batch) == 0 {
		return nil, nil
	}
	err = s.write(ctx, "settle", func(tx *tx) error {
		lost = nil
		for i := range batch {
			good, err := tx.settle(now, &batch[i].Grant, &batch[i].Outcome)
			if err != nil {
				return err
			}
			if !good {
				lost = append(lost, batch[i].Grant.Delivery.ID)
			}
		}
		if len(lost) < len(batch) {
			tx.wakes(store.Owed)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return lost, nil
}

// head is the delivery that is granted under the token ?1, of the lane ?2.
const head = `seq = (SELECT head FROM lanes WHERE id = ?2 AND token = ?1 AND head IS NOT NULL)`

// settle ends one grant; good is false if it is lost.
func (t *tx) settle(now time.Time, g *chokepoint.Grant, o *chokepoint.Outcome) (good bool, err error) {
	lane := g.Token & 0xffffffff
	var n int64
	var hold time.Time
	switch o.Kind {
	case chokepoint.Retry:
		n, err = t.changed(`UPDATE deliveries SET attempts = attempts + 1, unknown = unknown + ?3, error = ?4 WHERE `+head,
			g.Token, lane, yes(o.Unknown), o.Reason)
		hold = o.NotBefore
	case chokepoint.Snooze:
		n, err = t.changed(`UPDATE deliveries SET not_before = ?3 WHERE `+head, g.Token, lane, nano(o.NotBefore))
		if o.Hold {
			hold = o.NotBefore
		}
	case chokepoint.Dead:
		if n, err = t.changed(`INSERT INTO dead (id, lane, alert, queued, attempts, unknown, error, dead)
			SELECT ?3, lane, alert, queued, attempts + 1, unknown + ?4, ?5, ?6 FROM deliveries WHERE `+head,
			g.Token, lane, string(g.Delivery.ID), yes(o.Unknown), o.Reason, nano(now)); err != nil || n == 0 {
			return false, err
		}
		n, err = t.changed(`DELETE FROM deliveries WHERE `+head, g.Token, lane)
	default: // Sent, Dropped
		n, err = t.changed(`DELETE FROM deliveries WHERE `+head, g.Token, lane)
	}
	if err != nil || n == 0 {
		return false, err
	}
	if o.Gone {
		if err := t.chatGone(lane, o.Reason); err != nil {
			return false, err
		}
	}
	if err := t.exec(`UPDATE lanes SET head = NULL, hold = ?2, tat = ?3, due = `+earliest+` WHERE id = ?4`,
		nano(now), nano(hold), nano(o.Pace.TAT), lane); err != nil {
		return false, err
	}
	if o.Posting != nil {
		if err := t.putPosting(lane, o.Posting); err != nil {
			return false, err
		}
	}
	if o.Moved != (chokepoint.ChatID{}) {
		return true, t.move(now, g.Chat.ID, o.Moved)
	}
	return true, nil
}

// chatGone drops what is owed to a chat and marks it as gone.
func (t *tx) chatGone(lane int64, why string) error {
	if err := t.exec(`DELETE FROM deliveries WHERE lane = ?`, lane); err != nil {
		return err
	}
	var body string
	found, err := t.row(`SELECT body FROM chats WHERE lane = ?`, []any{lane}, &body)
	if err != nil || !found {
		return err
	}
	var c chokepoint.Chat
	if err := decode(body, &c); err != nil {
		return err
	}
	if c.Gone = why; why == "" {
		c.Gone = "gone"
	}
	if body, err = encode(c); err != nil {
		return err
	}
	return t.putChat(lane, c, body)
}

func (s *Store) MoveChat(ctx context.Context, now time.Time, from, to chokepoint.ChatID) error {
	return s.write(ctx, "move chat "+from.String()+" to "+to.String(), func(tx *tx) error { return tx.move(now, from, to) })
}

func (t *tx) move(now time.Time, from, to chokepoint.ChatID) error {
	if from == to {
		return nil
	}
	// Where both have a rule of one ID, that of the new chat stays.
	n, err := t.changed(`UPDATE OR IGNORE rules SET platform = ?, chat = ? WHERE platform = ? AND chat = ?`, string(to.Platform), to.ID, string(from.Platform), from.ID)
	if err != nil {
		return err
	}
	left, err := t.changed(`DELETE FROM rules WHERE platform = ? AND chat = ?`, string(from.Platform), from.ID)
	if err != nil {
		return err
	}
	if n+left > 0 {
		if err := t.rulesChanged(); err != nil {
			return err
		}
	}
	old, found, err := t.findLane(from)
	if err != nil || !found {
		return err
	}
	t.wakes(store.Changed)
	lane, known, err := t.findLane(to)
	if err != nil {
		return err
	}
	if !known {
		return t.exec(`UPDATE lanes SET platform = ?, chat = ? WHERE id = ?`, string(to.Platform), to.ID, old)
	}
	// What both have, the new chat keeps: settings, postings (of stories that
	// are still told; others are left to age), and an alert that is owed to
	// both is owed once.
	for _, text := range []string{
		`UPDATE OR IGNORE chats SET lane = ?1 WHERE lane = ?2`,
		`UPDATE followers SET lane = ?1 WHERE lane = ?2 AND NOT EXISTS (SELECT 1 FROM chats WHERE lane = ?2)`,
		`DELETE FROM followers WHERE lane = ?2`,
		`DELETE FROM chats WHERE lane = ?2`,
		`UPDATE OR IGNORE postings SET lane = ?1 WHERE lane = ?2 AND story IN (SELECT story FROM alerts)`,
		`UPDATE OR IGNORE alert_lanes SET lane = ?1 WHERE lane = ?2`,
		`DELETE FROM alert_lanes WHERE lane = ?2`,
		`UPDATE OR IGNORE deliveries SET lane = ?1 WHERE lane = ?2`,
		`DELETE FROM deliveries WHERE lane = ?2`,
		`UPDATE dead SET lane = ?1 WHERE lane = ?2`,
		`UPDATE lanes SET hold = max(hold, (SELECT hold FROM lanes WHERE id = ?2)), tat = max(tat, (SELECT tat FROM lanes WHERE id = ?2)) WHERE id = ?1`,
		`DELETE FROM lanes WHERE id = ?2`,
	} {
		if err := t.exec(text, lane, old); err != nil {
			return err
		}
	}
	var hold int64
	if _, err := t.row(`SELECT hold FROM lanes WHERE id = ?`, []any{lane}, &hold); err != nil {
		return err
	}
	return t.exec(`UPDATE lanes SET due = `+earliest+` WHERE id = ?3 AND head IS NULL`, nano(now), hold, lane)
}

func (s *Store) DeadLetters(ctx context.Context, n int) ([]chokepoint.Delivery, error) {
	rows, err := s.query(ctx, `SELECT d.id, a.id, l.platform, l.chat, d.queued, d.attempts, d.unknown, d.error, d.dead
		FROM dead d JOIN alerts a ON a.seq = d.alert JOIN lanes l ON l.id = d.lane ORDER BY d.seq DESC LIMIT ?`, max(n, 0))
	ds, err := all(rows, err, func(r *sql.Rows, d *chokepoint.Delivery) error {
		var queued, dead int64
		err := r.Scan(&d.ID, &d.Alert, &d.Chat.Platform, &d.Chat.ID, &queued, &d.Attempts, &d.Unknown, &d.LastErr, &dead)
		d.Queued, d.Dead = moment(queued), moment(dead)
		return err
	})
	return ds, s.failed("dead letters", err)
}

func (s *Store) Requeue(ctx context.Context, now time.Time, id chokepoint.DeliveryID) error {
	return s.write(ctx, "requeue "+string(id), func(tx *tx) error {
		var seq, lane, alert, hold int64
		found, err := tx.row(`SELECT d.seq, d.lane, d.alert, l.hold FROM dead d JOIN lanes l ON l.id = d.lane WHERE d.id = ? ORDER BY d.seq LIMIT 1`,
			[]any{string(id)}, &seq, &lane, &alert, &hold)
		if err != nil {
			return err
		}
		if !found {
			return chokepoint.ErrNotFound
		}
		tx.wakes(store.Owed)
		if err := tx.exec(`DELETE FROM dead WHERE seq = ?`, seq); err != nil {
			return err
		}
		if err := tx.exec(`INSERT OR IGNORE INTO deliveries (lane, alert, queued) VALUES (?, ?, ?)`, lane, alert, nano(now)); err != nil {
			return err
		}
		return tx.exec(`UPDATE lanes SET due = `+earliest+` WHERE id = ?3 AND head IS NULL`, nano(now), hold, lane)
	})
}

func (s *Store) Depth(ctx context.Context, now time.Time) (chokepoint.Depth, error) {
	var d chokepoint.Depth
	var oldest sql.NullInt64
	_, err := s.row(ctx, `SELECT (SELECT count(*) FROM spreads), (SELECT count(*) FROM deliveries),
			(SELECT count(*) FROM lanes WHERE head IS NOT NULL AND due > ?), (SELECT count(*) FROM dead),
			(SELECT queued FROM deliveries ORDER BY seq LIMIT 1)`, []any{nano(now)}, &d.Spreads, &d.Pending, &d.Granted, &d.Dead, &oldest)
	if err != nil {
		return chokepoint.Depth{}, s.failed("depth", err)
	}
	if oldest.Valid {
		d.Oldest = max(now.Sub(moment(oldest.Int64)), 0)
	}
	return d, nil
}
