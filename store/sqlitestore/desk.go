package sqlitestore

import (
	"context"
	"database/sql"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/store"
)

// scanChat reads a chat's ID and body: the ID in the body is as it was when
// it was put, before any move.
func scanChat(r *sql.Rows, c *chokepoint.Chat) error {
	var id chokepoint.ChatID
	var body string
	if err := r.Scan(&id.Platform, &id.ID, &body); err != nil {
		return err
	}
	err := decode(body, c)
	c.ID = id
	return err
}

func (s *Store) Chat(ctx context.Context, id chokepoint.ChatID) (chokepoint.Chat, error) {
	var c chokepoint.Chat
	var body string
	found, err := s.row(ctx, `SELECT body FROM lanes JOIN chats ON lane = id WHERE platform = ? AND chat = ?`, []any{string(id.Platform), id.ID}, &body)
	if err == nil {
		if err = chokepoint.ErrNotFound; found {
			err = decode(body, &c)
		}
	}
	if err != nil {
		return chokepoint.Chat{}, s.failed("chat "+id.String(), err)
	}
	c.ID = id
	return c, nil
}

func (s *Store) Chats(ctx context.Context) ([]chokepoint.Chat, error) {
	rows, err := s.query(ctx, `SELECT platform, chat, body FROM lanes JOIN chats ON lane = id ORDER BY platform, chat`)
	cs, err := all(rows, err, scanChat)
	return cs, s.failed("chats", err)
}

func (s *Store) PutChat(ctx context.Context, c chokepoint.Chat) error {
	doing := "put chat " + c.ID.String()
	body, err := encode(c)
	if err != nil {
		return s.failed(doing, err)
	}
	return s.write(ctx, doing, func(tx *tx) error {
		lane, err := tx.lane(c.ID)
		if err != nil {
			return err
		}
		return tx.putChat(lane, c, body)
	})
}

// lane is a chat's, made if need be.
func (t *tx) lane(id chokepoint.ChatID) (lane int64, err error) {
	lane, found, err := t.findLane(id)
	if err == nil && !found {
		_, err = t.row(`INSERT INTO lanes (platform, chat) VALUES (?, ?) RETURNING id`, []any{string(id.Platform), id.ID}, &lane)
	}
	return lane, err
}

func (t *tx) findLane(id chokepoint.ChatID) (lane int64, found bool, err error) {
	found, err = t.row(`SELECT id FROM lanes WHERE platform = ? AND chat = ?`, []any{string(id.Platform), id.ID}, &lane)
	return lane, found, err
}

// putChat writes a chat with what it follows.
func (t *tx) putChat(lane int64, c chokepoint.Chat, body string) error {
	t.wakes(store.Changed)
	if err := t.exec(`INSERT INTO chats (lane, gone, body) VALUES (?, ?, ?) ON CONFLICT (lane) DO UPDATE SET gone = excluded.gone, body = excluded.body`,
		lane, yes(c.Gone != ""), body); err != nil {
		return err
	}
	if err := t.exec(`DELETE FROM followers WHERE lane = ?`, lane); err != nil {
		return err
	}
	for _, topic := range c.Topics {
		if err := t.exec(`INSERT OR IGNORE INTO followers (topic, lane) VALUES (?, ?)`, string(topic), lane); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) Alert(ctx context.Context, id chokepoint.AlertID) (a chokepoint.Alert, err error) {
	var body string
	found, err := s.row(ctx, `SELECT body FROM alerts WHERE id = ?`, []any{string(id)}, &body)
	if err == nil {
		if err = chokepoint.ErrNotFound; found {
			err = decode(body, &a)
		}
	}
	if err != nil {
		return chokepoint.Alert{}, s.failed("alert "+string(id), err)
	}
	return a, nil
}

func (s *Store) Alerts(ctx context.Context, q store.AlertQuery) ([]chokepoint.Alert, error) {
	text := `SELECT body FROM alerts WHERE 1`
	var args []any
	if q.Topic != "" {
		text += ` AND topic = ?`
		args = append(args, string(q.Topic))
	}
	if q.Story != "" {
		text += ` AND story = ?`
		args = append(args, string(q.Story))
	}
	if q.Chat != (chokepoint.ChatID{}) {
		text += ` AND (NOT some OR EXISTS (SELECT 1 FROM alert_lanes WHERE alert = seq AND lane = (SELECT id FROM lanes WHERE platform = ? AND chat = ?)))`
		args = append(args, string(q.Chat.Platform), q.Chat.ID)
	}
	if q.N == 0 {
		q.N = 10
	}
	rows, err := s.query(ctx, text+` ORDER BY seq DESC LIMIT ?`, append(args, q.N)...)
	as, err := all(rows, err, scanBody[chokepoint.Alert])
	return as, s.failed("alerts", err)
}

func (s *Store) Posting(ctx context.Context, c chokepoint.ChatID, story chokepoint.StoryID) (chokepoint.Posting, error) {
	p := chokepoint.Posting{Chat: c, Story: story}
	var edited int64
	found, err := s.row(ctx, `SELECT alert, message, thread, edited FROM lanes JOIN postings ON lane = id WHERE platform = ? AND chat = ? AND story = ?`,
		[]any{string(c.Platform), c.ID, string(story)}, &p.Alert, &p.Message, &p.Thread, &edited)
	if err == nil && !found {
		err = chokepoint.ErrNotFound
	}
	if err != nil {
		return chokepoint.Posting{}, s.failed("posting of "+string(story)+" in "+c.String(), err)
	}
	p.Edited = moment(edited)
	return p, nil
}

func (s *Store) PutPosting(ctx context.Context, p chokepoint.Posting) error {
	return s.write(ctx, "put posting of "+string(p.Story)+" in "+p.Chat.String(), func(tx *tx) error {
		lane, err := tx.lane(p.Chat)
		if err != nil {
			return err
		}
		return tx.putPosting(lane, &p)
	})
}

// putPosting writes where a story stands in the chat of a lane.
func (t *tx) putPosting(lane int64, p *chokepoint.Posting) error {
	return t.exec(`INSERT INTO postings (lane, story, alert, message, thread, edited, touched)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, CASE WHEN ?6 <> 0 THEN ?6 ELSE ifnull((SELECT at FROM alerts WHERE id = ?3), 0) END)
		ON CONFLICT (story, lane) DO UPDATE SET alert = excluded.alert, message = excluded.message, thread = excluded.thread, edited = excluded.edited, touched = excluded.touched`,
		lane, string(p.Story), string(p.Alert), p.Message, p.Thread, nano(p.Edited))
}

func (s *Store) Mark(ctx context.Context, name string) (value string, err error) {
	_, err = s.row(ctx, `SELECT value FROM marks WHERE name = ?`, []any{name}, &value)
	return value, s.failed("mark "+name, err)
}

func (s *Store) PutMark(ctx context.Context, name, value string) error {
	return s.write(ctx, "put mark "+name, func(tx *tx) error {
		return tx.exec(`INSERT INTO marks (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value`, name, value)
	})
}
