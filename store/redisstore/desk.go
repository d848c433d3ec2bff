package redisstore

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/store"
)

// putChat writes a chat and what it follows. A chat that is put under an ID
// that another moved away from is a new one.
//
//	ARGV    by, chat, JSON, 1 if it is gone, how many topics, those, sized
//	touches chats, followers, follows, gone, moved
//	returns {what happened}
var putChat = coreScript(`
local by, chat = take(), take()
call('HSET', chats, chat, take())
call('HDEL', moved, chat)
unfollow(chat)
local isGone, topics = take() == '1', {}
for i = 1, number() do topics[i] = take() end
if isGone then
  call('SADD', gone, chat)
else
  call('SREM', gone, chat)
  follow(chat, topics)
end
return { tell(by, Changed) }
`)

// markGone writes a chat that is gone, if it is still as it was read.
//
//	ARGV    by, chat, JSON as it was read, JSON
//	touches chats, followers, follows, gone
//	returns {what happened}, or {} if it is another by now
var markGone = coreScript(`
local by, chat, old, new = take(), take(), take(), take()
if call('HGET', chats, chat) ~= old then return {} end
call('HSET', chats, chat, new)
call('SADD', gone, chat)
unfollow(chat)
return { tell(by, Changed) }
`)

// parseChat reads a chat. Its ID is what it is filed under.
func parseChat(chat, body string) (chokepoint.Chat, error) {
	c, err := decode[chokepoint.Chat](body, "the chat "+chat)
	c.ID = chatID(chat)
	return c, err
}

// Chat is one chat.
func (s *Store) Chat(ctx context.Context, id chokepoint.ChatID) (chokepoint.Chat, error) {
	body, err := s.field(ctx, "chats", id.String())
	if err == nil && body == "" {
		err = chokepoint.ErrNotFound
	}
	var c chokepoint.Chat
	if err == nil {
		c, err = parseChat(id.String(), body)
	}
	return c, wrap(err, "reading the chat %s", id)
}

// Chats is every chat.
func (s *Store) Chats(ctx context.Context) (cs []chokepoint.Chat, err error) {
	err = s.with(ctx, func() error {
		bodies, err := s.rdb.HGetAll(ctx, s.coreKey("chats")).Result()
		for chat, body := range bodies {
			c, err := parseChat(chat, body)
			if err != nil {
				return err
			}
			cs = append(cs, c)
		}
		return err
	})
	slices.SortFunc(cs, func(a, b chokepoint.Chat) int { return compareChats(a.ID, b.ID) })
	return cs, wrap(err, "reading all chats")
}

// PutChat writes a chat.
func (s *Store) PutChat(ctx context.Context, c chokepoint.Chat) error {
	return wrap(s.change(ctx, putChat, func(a *args) error {
		body, err := json.Marshal(c)
		if err != nil {
			return err
		}
		gone := 0
		if c.Gone != "" {
			gone = 1
		}
		a.add(c.ID.String(), body, gone, len(c.Topics))
		for _, t := range c.Topics {
			a.add(sized(string(t)))
		}
		return nil
	}), "putting the chat %s", c.ID)
}

// leave marks a chat as gone, whatever else is changed of it meanwhile. One
// that is unknown has nothing to mark.
func (s *Store) leave(ctx context.Context, chat, reason string) error {
	for {
		old, err := s.rdb.HGet(ctx, s.coreKey("chats"), chat).Result()
		if errors.Is(err, redis.Nil) {
			return nil
		}
		if err != nil {
			return err
		}
		c, err := parseChat(chat, old)
		if err != nil {
			return err
		}
		if c.Gone == reason {
			return nil
		}
		c.Gone = reason
		body, err := json.Marshal(c)
		if err != nil {
			return err
		}
		r, err := s.run(ctx, markGone, args{s.wake.name, chat, old, body})
		if err != nil {
			return err
		}
		if len(r.list) > 0 {
			s.wake.tell(r.int())
			return r.err
		}
	}
}

// Alert is one alert.
func (s *Store) Alert(ctx context.Context, id chokepoint.AlertID) (chokepoint.Alert, error) {
	body, err := s.field(ctx, "alerts", string(id))
	if err == nil && body == "" {
		err = chokepoint.ErrNotFound
	}
	var a chokepoint.Alert
	if err == nil {
		a, err = parseAlert(string(id), body)
	}
	return a, wrap(err, "reading the alert %s", id)
}

// Alerts are those that a query picks, newest first. It walks back over the
// story's, the topic's or all alerts, whichever are fewest.
func (s *Store) Alerts(ctx context.Context, q store.AlertQuery) (as []chokepoint.Alert, err error) {
	if q.N <= 0 {
		q.N = 10
	}
	index := "a"
	switch {
	case q.Story != "":
		index = "s" + sized(string(q.Story))
	case q.Topic != "":
		index = "t" + sized(string(q.Topic))
	}
	err = s.with(ctx, func() error {
		const page = 200
		last := "(" + index + ":" // a digit follows, and ":" is after the digits
		for {
			members, err := s.rdb.ZRevRangeByLex(ctx, s.coreKey("alerts:index"), &redis.ZRangeBy{Min: "[" + index, Max: last, Count: page}).Result()
			if err != nil || len(members) == 0 {
				return err
			}
			last = "(" + members[len(members)-1]
			ids := make([]string, len(members))
			for i, m := range members {
				ids[i] = m[len(index)+seqLen:]
			}
			bodies, err := s.rdb.HMGet(ctx, s.coreKey("alerts"), ids...).Result()
			if err != nil {
				return err
			}
			for i, b := range bodies {
				body, ok := b.(string)
				if !ok {
					continue // trimmed just now
				}
				a, err := parseAlert(ids[i], body)
				if err != nil {
					return err
				}
				if picks(q, a) {
					as = append(as, a)
				}
				if len(as) == q.N {
					return nil
				}
			}
		}
	})
	return as, wrap(err, "reading alerts")
}

// picks says whether a query picks an alert.
func picks(q store.AlertQuery, a chokepoint.Alert) bool {
	return (q.Topic == "" || a.Topic == q.Topic) && (q.Story == "" || a.Story == q.Story) &&
		(q.Chat == chokepoint.ChatID{} || len(a.Only) == 0 || slices.Contains(a.Only, q.Chat))
}

// Publish writes alerts.
func (s *Store) Publish(ctx context.Context, now time.Time, alerts []chokepoint.Alert) error {
	return wrap(s.change(ctx, publish, func(a *args) error { return a.addAlerts(alerts) }), "publishing %d alerts", len(alerts))
}

// publish writes alerts with their spreads.
//
//	ARGV    by, alerts (see publish in corePrelude)
//	touches alerts, alerts:*, spreads, spreads:progress, targets, counters
//	returns {what happened}
var publish = coreScript(`
local by = take()
return { tell(by, publish() > 0 and Committed or 0) }
`)

// Quotes is the latest of each symbol.
func (s *Store) Quotes(ctx context.Context) (qs []chokepoint.Quote, err error) {
	err = s.with(ctx, func() error {
		bodies, err := s.rdb.HVals(ctx, s.coreKey("quotes")).Result()
		for _, body := range bodies {
			if len(body) < orderLen {
				return damaged("a quote", errors.New("it is too short"))
			}
			o, err := decode[chokepoint.Observation](body[orderLen:], "a quote")
			if err == nil && o.Quote == nil {
				err = damaged("a quote", errors.New("it has no price"))
			}
			if err != nil {
				return err
			}
			qs = append(qs, *o.Quote)
		}
		return err
	})
	slices.SortFunc(qs, func(a, b chokepoint.Quote) int { return cmp.Compare(a.Symbol, b.Symbol) })
	return qs, wrap(err, "reading the latest quotes")
}

// Bars are a symbol's days.
func (s *Store) Bars(ctx context.Context, sym chokepoint.Symbol, from string) (bs []chokepoint.Bar, err error) {
	err = s.with(ctx, func() error {
		mine := sized(string(sym))
		fields, err := s.rdb.ZRangeByLex(ctx, s.coreKey("bars:index"), &redis.ZRangeBy{Min: "[" + mine + from, Max: "(" + mine + "\xff"}).Result()
		if err != nil || len(fields) == 0 {
			return err
		}
		bodies, err := s.rdb.HMGet(ctx, s.coreKey("bars"), fields...).Result()
		if err != nil {
			return err
		}
		for _, b := range bodies {
			body, ok := b.(string)
			if !ok {
				continue // trimmed just now
			}
			o, err := decode[chokepoint.Observation](body, "a bar")
			if err == nil && o.Bar == nil {
				err = damaged("a bar", errors.New("it has no prices"))
			}
			if err != nil {
				return err
			}
			bs = append(bs, *o.Bar)
		}
		return nil
	})
	return bs, wrap(err, "reading the bars of %s", sym)
}

// Mark is a small named value.
func (s *Store) Mark(ctx context.Context, name string) (string, error) {
	v, err := s.field(ctx, "marks", name)
	return v, wrap(err, "reading the mark %s", name)
}

// PutMark writes a small named value.
func (s *Store) PutMark(ctx context.Context, name, value string) error {
	return wrap(s.with(ctx, func() error { return s.rdb.HSet(ctx, s.coreKey("marks"), name, value).Err() }), "putting the mark %s", name)
}

// Posting is where a story stands in a chat.
func (s *Store) Posting(ctx context.Context, c chokepoint.ChatID, story chokepoint.StoryID) (chokepoint.Posting, error) {
	var p chokepoint.Posting
	err := s.with(ctx, func() error {
		chat := c.String()
		body, err := s.rdb.HGet(ctx, s.laneKey(partition(chat), "postings"), sized(chat)+string(story)).Result()
		if errors.Is(err, redis.Nil) {
			return chokepoint.ErrNotFound
		}
		if err != nil {
			return err
		}
		p, err = parsePosting(chat, body)
		return err
	})
	return p, wrap(err, "reading where %s stands in %s", story, c)
}

// PutPosting writes where a story stands in a chat. Its age is when it was
// edited, or of one that never was its alert's.
func (s *Store) PutPosting(ctx context.Context, p chokepoint.Posting) error {
	return wrap(s.with(ctx, func() error {
		body, err := json.Marshal(p)
		if err != nil {
			return err
		}
		touched := p.Edited
		if touched.IsZero() {
			alert, err := s.rdb.HGet(ctx, s.coreKey("alerts"), string(p.Alert)).Result()
			if err != nil && !errors.Is(err, redis.Nil) {
				return err
			}
			if err == nil {
				a, err := parseAlert(string(p.Alert), alert)
				if err != nil {
					return err
				}
				touched = a.At
			}
		}
		chat := p.Chat.String()
		return s.runAll(ctx, []*call{s.lane(putPosting, partition(chat), p.Chat.Platform, args{chat, string(p.Story), body, millis(touched)})})
	}), "putting where %s stands in %s", p.Story, p.Chat)
}
