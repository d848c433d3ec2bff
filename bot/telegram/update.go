package telegram

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
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
	Post    *message `json:"channel_post"`
	Press   *press   `json:"callback_query"`
	Place   *place   `json:"my_chat_member"`
}

// said is what somebody said, nil if nobody did.
func (u update) said() *message {
	if u.Post != nil {
		return u.Post
	}
	return u.Message
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

	ForwardedFrom json.RawMessage `json:"forward_origin"` // nil if it is the sender's own
	Through       *user           `json:"via_bot"`
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

// byChat says whether m was said in the name of the chat itself: in a group by
// an unnamed administrator, in a channel, where nobody else can, by one of
// those who run it.
func (m *message) byChat() bool {
	if m.As == nil || m.As.ID != m.Chat.ID {
		return false
	}
	return m.Chat.Type == "channel" || m.From != nil && m.From.ID == anonymous
}

// speaker is who said m; ok is false for bots, us among them, and for what
// others said first.
func (m *message) speaker(me user) (who user, ok bool) {
	switch {
	case m.ForwardedFrom != nil || m.Through != nil:
		return user{}, false
	case m.byChat():
		return user{ID: m.As.ID}, true
	case m.From == nil || m.From.IsBot || m.From.ID == me.ID:
		return user{}, false
	}
	return *m.From, true
}

// stale is when a command is too old to obey: it waited for us, up to a day,
// and the person has gone on.
const stale = 5 * time.Minute

// inbound is what a person asks of us in u; ok is false if nobody asks
// anything. Admin is left out.
func (u update) inbound(me user, now time.Time) (in bot.Inbound, ok bool) {
	m := u.said()
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
		if from, ok = m.speaker(me); !ok || now.Sub(time.Unix(m.Date, 0)) > stale {
			return bot.Inbound{}, false
		}
		in.At, tied = time.Unix(m.Date, 0).UTC(), m.ID
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

// asker is how to find out whether the person behind u, whose ID is who, may
// change the chat's settings.
func (a *Adapter) asker(u update, who string) func(context.Context) (bool, error) {
	m := u.said()
	if u.Press != nil {
		m = u.Press.Message
	}
	if m.Chat.private() || u.Press == nil && m.byChat() {
		return func(context.Context) (bool, error) { return true, nil }
	}
	return func(ctx context.Context) (bool, error) {
		key, now := member{m.Chat.ID, who}, a.cfg.Now()
		if admin, ok := a.admins.get(key, now); ok {
			return admin, nil
		}
		admin, err := a.isAdmin(ctx, key)
		if err != nil {
			return false, err
		}
		a.admins.put(key, admin, now)
		return admin, nil
	}
}

// isAdmin asks Telegram. Of a single member only a bot that is an
// administrator itself is sure to be told, but anyone is told the list of
// administrators. https://core.telegram.org/bots/api#getchatmember
func (a *Adapter) isAdmin(ctx context.Context, m member) (bool, error) {
	type role struct {
		Status string `json:"status"`
		User   user   `json:"user"`
	}
	chat := strconv.FormatInt(m.chat, 10)
	var is role
	err := a.client.call(ctx, "getChatMember", sendWithin, tgbotapi.Params{"chat_id": chat, "user_id": m.user}, nil, &is)
	var refused *failure
	if !errors.As(err, &refused) || refused.code != http.StatusBadRequest || refused.said == "" {
		return is.Status == "creator" || is.Status == "administrator", err
	}
	var all []role
	if err := a.client.call(ctx, "getChatAdministrators", sendWithin, tgbotapi.Params{"chat_id": chat}, nil, &all); err != nil {
		return false, err
	}
	return slices.ContainsFunc(all, func(r role) bool { return strconv.FormatInt(r.User.ID, 10) == m.user }), nil
}

// admins remembers for a minute who is an administrator.
type admins struct {
	mu    sync.Mutex
	known map[member]standing
}

type member struct {
	chat int64
	user string
}

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
