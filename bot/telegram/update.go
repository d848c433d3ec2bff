package telegram

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	tgbotapi "github.com/go-telegram-bot-api/telegram-bot-api/v5"

	"github.com/chokepoint-bot/chokepoint/bot"
)

// The parts of an update that we use. The library's types are older than
// topics. https://core.telegram.org/bots/api#update

type update struct {
	ID      int64    `json:"update_id"`
	Message *message `json:"message"`
	Press   *press   `json:"callback_query"`
	Place   *place   `json:"my_chat_member"`
}

type message struct {
	ID      int64    `json:"message_id"`
	Thread  int64    `json:"message_thread_id"`
	InTopic bool     `json:"is_topic_message"` // else Thread is one of replies, and no topic
	From    *user    `json:"from"`
	As      *chat    `json:"sender_chat"` // on whose behalf it was said
	Date    int64    `json:"date"`        // Unix seconds; 0 if the message cannot be seen any more
	Chat    chat     `json:"chat"`
	Text    string   `json:"text"`
	Answers *message `json:"reply_to_message"`
	MovedTo int64    `json:"migrate_to_chat_id"`
}

type press struct {
	ID      string   `json:"id"`
	From    user     `json:"from"`
	Message *message `json:"message"`
	Data    string   `json:"data"`
}

type place struct {
	Chat chat `json:"chat"`
	New  struct {
		Status string `json:"status"`
	} `json:"new_chat_member"`
}

type user struct {
	ID       int64  `json:"id"`
	IsBot    bool   `json:"is_bot"`
	Username string `json:"username"`
	Language string `json:"language_code"` // "" if unknown
}

type chat struct {
	ID    int64  `json:"id"`
	Type  string `json:"type"` // private, group, supergroup, channel
	Title string `json:"title"`
	First string `json:"first_name"`
	Last  string `json:"last_name"`
}

func (c chat) title() string {
	if c.Title != "" {
		return bot.Neutral(c.Title)
	}
	return strings.TrimSpace(bot.Neutral(c.First + " " + c.Last))
}

func (c chat) private() bool { return c.Type == "private" }

// anonymous is the user in whose name administrators speak who stay unnamed:
// GroupAnonymousBot. https://core.telegram.org/bots/api#message (sender_chat)
const anonymous = 1087968824

// byAnonymous says whether an unnamed administrator of the chat said m.
func (m *message) byAnonymous() bool {
	return m.From != nil && m.From.ID == anonymous && m.As != nil && m.As.ID == m.Chat.ID
}

// stale is when a command is too old to obey: it waited for us, up to a day,
// and the person has gone on.
const stale = 5 * time.Minute

// inbound is what a person asks of us in u; ok is false if nobody asks
// anything. Admin is left out.
func (u update) inbound(me user, now time.Time) (in bot.Inbound, ok bool) {
	m := u.Message
	var from user
	var text string
	var tied int64 // what an answer is tied to
	switch {
	case u.Press != nil:
		m, from, text = u.Press.Message, u.Press.From, u.Press.Data
		if m == nil || text == "" || from.IsBot {
			return bot.Inbound{}, false
		}
		in.Message, in.At = strconv.FormatInt(m.ID, 10), now
		tied = m.ID
	case m != nil:
		if m.From == nil || m.From.IsBot && !m.byAnonymous() || m.From.ID == me.ID || now.Sub(time.Unix(m.Date, 0)) > stale {
			return bot.Inbound{}, false
		}
		from, in.At, tied = *m.From, time.Unix(m.Date, 0).UTC(), m.ID
		answersUs := m.Answers != nil && m.Answers.From != nil && m.Answers.From.ID == me.ID
		if answersUs {
			in.Message = strconv.FormatInt(m.Answers.ID, 10)
		}
		if text, ok = addressed(m.Text, me.Username, m.Chat.private() || answersUs); !ok {
			return bot.Inbound{}, false
		}
	default:
		return bot.Inbound{}, false
	}
	text = strings.TrimSpace(bot.Neutral(text))
	if text == "" {
		return bot.Inbound{}, false
	}
	var topic int64
	if m.InTopic {
		topic = m.Thread
		in.Thread = strconv.FormatInt(topic, 10)
	}
	in.ID = strconv.FormatInt(u.ID, 10)
	in.Chat, in.Title, in.Group = chatID(m.Chat.ID, topic), m.Chat.title(), !m.Chat.private()
	in.User, in.Text, in.Locale, in.ReplyTo = strconv.FormatInt(from.ID, 10), text, from.Language, tied
	return in, true
}

// addressed is what text asks of the bot of that name, its name taken out; ok
// is false if it is not for the bot. heard says that the bot is spoken to
// anyway.
func addressed(text, name string, heard bool) (_ string, ok bool) {
	if strings.HasPrefix(text, "/") {
		word, rest := text, ""
		if i := strings.IndexAny(text, " \t\r\n"); i >= 0 {
			word, rest = text[:i], text[i:]
		}
		command, to, named := strings.Cut(word, "@")
		if named && !strings.EqualFold(to, name) {
			return "", false
		}
		return command + rest, true
	}
	if at := mention(text, name); at >= 0 {
		return strings.TrimSpace(text[:at]) + " " + strings.TrimSpace(text[at+1+len(name):]), true
	}
	return text, heard
}

// mention is where "@name" stands in text, in any case of letters; -1 if
// nowhere. Names are ASCII.
func mention(text, name string) int {
	for at := 0; at+1+len(name) <= len(text); at++ {
		end := at + 1 + len(name)
		if text[at] == '@' && strings.EqualFold(text[at+1:end], name) &&
			(at == 0 || !isNameByte(text[at-1])) && (end == len(text) || !isNameByte(text[end])) {
			return at
		}
	}
	return -1
}

// asker is how to find out whether the person behind u may change the chat's
// settings.
func (a *Adapter) asker(u update) func(context.Context) (bool, error) {
	m := u.Message
	who := int64(0)
	if u.Press != nil {
		m, who = u.Press.Message, u.Press.From.ID
	} else {
		who = m.From.ID
	}
	if m.Chat.private() || u.Press == nil && m.byAnonymous() {
		return func(context.Context) (bool, error) { return true, nil }
	}
	return func(ctx context.Context) (bool, error) {
		key, now := member{m.Chat.ID, who}, a.cfg.Now()
		if admin, ok := a.admins.get(key, now); ok {
			return admin, nil
		}
		var is struct {
			Status string `json:"status"`
		}
		if err := a.client.call(ctx, "getChatMember", sendWithin, tgbotapi.Params{"chat_id": strconv.FormatInt(key.chat, 10), "user_id": strconv.FormatInt(who, 10)}, nil, &is); err != nil {
			return false, err
		}
		admin := is.Status == "creator" || is.Status == "administrator"
		a.admins.put(key, admin, now)
		return admin, nil
	}
}

// admins remembers for a minute who is an administrator.
type admins struct {
	mu    sync.Mutex
	known map[member]standing
}

type member struct{ chat, user int64 }

type standing struct {
	admin bool
	until time.Time
}

const (
	adminsFor  = time.Minute
	adminsMost = 4096 // forgotten all at once: it is a cache
)

func (s *admins) get(m member, now time.Time) (admin, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.known[m]
	return at.admin, ok && now.Before(at.until)
}

func (s *admins) put(m member, admin bool, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) >= adminsMost {
		clear(s.known)
	}
	s.known[m] = standing{admin, now.Add(adminsFor)}
}
