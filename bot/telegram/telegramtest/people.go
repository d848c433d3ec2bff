package telegramtest

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// anonymous is GroupAnonymousBot, in whose name unnamed administrators speak.
const anonymous = 1087968824

// Said is something that somebody says.
type Said struct {
	Chat, User int64
	Text       string
	Topic      int64     // 0 for none
	ReplyTo    int64     // a message of the bot's; 0 for none
	Locale     string    // "" if unknown
	Bot        bool      // another bot says it
	Anonymous  bool      // an administrator who stays unnamed says it
	Forward    bool      // somebody else said it first
	At         time.Time // zero for now
}

// Say says text in a chat, and returns the message's ID.
func (s *Server) Say(chat, user int64, text string) int64 {
	return s.SayAs(Said{Chat: chat, User: user, Text: text})
}

// SayAs says something, and returns the message's ID.
func (s *Server) SayAs(a Said) (message int64) {
	if a.At.IsZero() {
		a.At = time.Now()
	}
	s.with(a.Chat, func(c *chat) {
		s.lastID++
		message = s.lastID
		from := map[string]any{"id": a.User, "is_bot": a.Bot, "first_name": fmt.Sprintf("user %d", a.User)}
		if a.Locale != "" {
			from["language_code"] = a.Locale
		}
		m := map[string]any{"message_id": message, "date": a.At.Unix(), "chat": c.json(), "text": a.Text, "from": from}
		if a.User == BotID {
			from["username"] = BotName
		}
		if a.Anonymous {
			m["from"] = map[string]any{"id": anonymous, "is_bot": true, "username": "GroupAnonymousBot"}
			m["sender_chat"] = c.json()
		}
		kind := "message"
		if c.kind == Channel {
			kind = "channel_post"
			delete(m, "from")
			m["sender_chat"] = c.json()
		}
		if a.Forward {
			m["forward_origin"] = map[string]any{"type": "hidden_user", "sender_user_name": "somebody", "date": a.At.Unix()}
		}
		if a.Topic != 0 {
			m["message_thread_id"], m["is_topic_message"] = a.Topic, true
		}
		if to := s.find(a.Chat, a.ReplyTo); to != nil {
			m["reply_to_message"] = to.json(c)
		}
		if word, _, _ := strings.Cut(a.Text, " "); strings.HasPrefix(word, "/") {
			m["entities"] = []any{map[string]any{"type": "bot_command", "offset": 0, "length": len(word)}}
		}
		c.said[message] = m
		s.push(map[string]any{kind: m})
	})
	return message
}

// Press presses the button with that data under a message of the bot's, and
// returns the press's ID. There must be such a button.
func (s *Server) Press(chatID, message int64, data string) string {
	return s.PressAs(chatID, message, data, 1001)
}

// PressAs is Press by a person.
func (s *Server) PressAs(chatID, message int64, data string, user int64) (id string) {
	s.with(chatID, func(c *chat) {
		m := s.find(chatID, message)
		if m == nil || !has(m.Buttons, data) {
			panic(fmt.Sprintf("telegramtest: message %d has no button %q", message, data))
		}
		id = fmt.Sprintf("press-%d", len(s.pressed)+1)
		s.pressed[id] = false
		s.push(map[string]any{"callback_query": map[string]any{
			"id": id, "from": map[string]any{"id": user, "first_name": "p"}, "message": m.json(c), "data": data, "chat_instance": "1",
		}})
	})
	return id
}

func has(rows [][]Button, data string) bool {
	for _, row := range rows {
		for _, b := range row {
			if b.Data == data {
				return true
			}
		}
	}
	return false
}

// Answered says whether the bot answered a press.
func (s *Server) Answered(press string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pressed[press]
}

// Amend changes what a person said, and tells the bot if it asked for that.
func (s *Server) Amend(chatID, message int64, text string) {
	s.with(chatID, func(c *chat) {
		was := c.said[message]
		now := maps.Clone(was)
		now["text"], now["edit_date"] = text, time.Now().Unix()
		c.said[message] = now
		s.push(map[string]any{"edited_message": now})
	})
}

// Repeat delivers the newest update once more, as if its confirmation had been
// lost.
func (s *Server) Repeat() {
	s.mu.Lock()
	defer s.mu.Unlock()
	again := s.last
	again.anyway = true
	s.updates = append(s.updates, again)
	s.change()
}

// Hangup breaks the connection of the getUpdates that waits, and returns once
// it is broken.
func (s *Server) Hangup() {
	s.mu.Lock()
	close(s.hang)
	s.hang = make(chan struct{})
	s.mu.Unlock()
	s.wait(context.Background(), func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.polls == 0 })
}

// getUpdates waits for updates, as long as it was asked to.
func (s *Server) getUpdates(r *http.Request) (any, *refusal) {
	offset, _ := strconv.ParseInt(r.FormValue("offset"), 10, 64)
	seconds, _ := strconv.Atoi(r.FormValue("timeout"))
	limit, _ := strconv.Atoi(r.FormValue("limit"))
	if limit < 1 || limit > 100 {
		limit = 100
	}
	timeout := time.NewTimer(time.Duration(min(seconds, 50)) * time.Second)
	defer timeout.Stop()

	s.mu.Lock()
	defer s.mu.Unlock()
	if s.webhook != "" {
		return nil, &refusal{code: 409, text: "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"}
	}
	if s.polls > 0 {
		s.interrupt()
	}
	mine, hang := s.newest, s.hang
	switch {
	case offset < 0: // only the newest so many
		s.updates = s.updates[max(len(s.updates)+int(offset), 0):]
	case offset <= s.lastUp+1: // one beyond the newest is ignored
		s.updates = slices.DeleteFunc(s.updates, func(u update) bool { return u.id < offset && !u.anyway })
	}
	s.allowed = r.FormValue("allowed_updates")
	s.polls++
	defer func() { s.polls--; s.change() }()
	s.change()
	for len(s.updates) == 0 {
		changed := s.changed
		s.mu.Unlock()
		var no *refusal
		done := false
		select {
		case <-changed:
		case <-timeout.C:
			done = true
		case <-r.Context().Done():
			done = true
		case <-s.done:
			done = true
		case <-hang:
			s.mu.Lock()
			panic(http.ErrAbortHandler)
		case <-mine:
			no = &refusal{code: 409, text: "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"}
		}
		s.mu.Lock()
		switch {
		case s.revoked:
			return nil, &refusal{code: 401, text: "Unauthorized"}
		case no != nil:
			return nil, no
		case done:
			return []any{}, nil
		}
	}
	if r.Context().Err() != nil {
		return []any{}, nil
	}
	out := make([]any, 0, limit)
	for i, u := range s.updates[:min(limit, len(s.updates))] {
		out = append(out, u.body)
		s.updates[i].anyway = false
	}
	return out, nil
}
