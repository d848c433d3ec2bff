// Package telegramtest is Telegram for tests: a server of the Bot API on the
// loopback interface that keeps chats, refuses what Telegram refuses, in its
// words, and shows what a person would see. The bot is an administrator of every
// group, without the right to manage topics, so it hears all that is said there;
// it hears other bots and itself too, as no bot of Telegram's does, to show that
// it would not obey them.
package telegramtest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// The one bot there is.
const (
	BotID   = 7000001
	BotName = "chokepoint_test_bot"
	token   = "7000001:AAtestTESTtestTESTtestTESTtestTEST_-x"
)

// Kind is what a chat is.
type Kind string

const (
	Private    Kind = "private"
	Group      Kind = "group"
	Supergroup Kind = "supergroup"
	Forum      Kind = "forum" // a supergroup with topics
	Channel    Kind = "channel"
)

// Message is one message of the bot's as a person sees it now.
type Message struct {
	ID, Chat int64
	Thread   int64    // the topic; 0 for none
	ReplyTo  int64    // the message it visibly answers; 0 for none
	Text     string   // or the caption: markup parsed and gone
	Was      []string // texts before each edit
	Links    []Link
	Mentions []string // names that it notifies
	Buttons  [][]Button
	HasPhoto bool
	Photo    []byte
	Silent   bool
	Preview  bool // a link in it may be shown at large
	Edits    int
}

// Link is text that leads to an address.
type Link struct{ Text, URL string }

// Button is one of an inline keyboard.
type Button struct {
	Text string `json:"text"`
	Data string `json:"callback_data"`
}

// Server is the Bot API of one bot. Its methods may be called concurrently.
type Server struct {
	http *httptest.Server
	done chan struct{}

	mu       sync.Mutex
	revoked  bool
	chats    map[int64]*chat
	shown    []*Message
	lastID   int64
	updates  []update // not yet confirmed
	last     update
	allowed  string // the kinds of updates that the bot asks for, as JSON; "" for all
	lastUp   int64
	polls    int             // getUpdates that wait
	hang     chan struct{}   // closed to break the connections of getUpdates
	newest   chan struct{}   // closed when another getUpdates comes
	changed  chan struct{}   // closed when anything changes
	failures []failure       // of the next sends and edits
	stalls   []chan struct{} // the next sends wait; closed when one has come
	calls    map[string]int
	requests []Request
	webhook  string                // where updates go instead; "" for nowhere
	photos   map[string][]byte     // by file_id
	now      func() time.Time      // of the rate limits; nil if there are none
	paces    map[int64][]time.Time // sends and edits by chat, and under 0 over all
	menus    map[menu]json.RawMessage
	pressed  map[string]bool // presses, and whether they were answered
}

type chat struct {
	id      int64
	kind    Kind
	title   string
	refuses string // the description of a 403 or 400; "" for none
	movedTo int64
	topics  map[int64]bool // open?
	admins  map[int64]bool
	hidden  bool                     // nobody is told who a member is
	manages bool                     // the bot may manage topics
	said    map[int64]map[string]any // by people
}

// menu is for whom a list of commands is.
type menu struct{ scope, code string }

type update struct {
	id     int64
	body   map[string]any
	anyway bool // delivered although it was confirmed
}

// New is a server that ends with the test.
func New(t testing.TB) *Server {
	s := &Server{
		done: make(chan struct{}), chats: map[int64]*chat{}, newest: make(chan struct{}), hang: make(chan struct{}), changed: make(chan struct{}),
		photos: map[string][]byte{}, paces: map[int64][]time.Time{}, calls: map[string]int{}, menus: map[menu]json.RawMessage{}, pressed: map[string]bool{}, lastID: 100, lastUp: 500,
	}
	s.http = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(func() {
		close(s.done)
		s.http.CloseClientConnections()
		s.http.Close()
	})
	return s
}

// URL is the server's address, without the token.
func (s *Server) URL() string { return s.http.URL }

// Token is the bot's.
func (s *Server) Token() string { return token }

// AddChat makes a chat in which the bot is. Groups' IDs are below zero.
func (s *Server) AddChat(id int64, kind Kind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.chats[id] = &chat{id: id, kind: kind, title: fmt.Sprintf("chat %d", id), topics: map[int64]bool{}, admins: map[int64]bool{}, said: map[int64]map[string]any{}}
}

// LetManageTopics lets the bot open topics in a forum, and write in closed ones.
func (s *Server) LetManageTopics(id int64) { s.with(id, func(c *chat) { c.manages = true }) }

// AddTopic opens a topic in a forum.
func (s *Server) AddTopic(id, topic int64) { s.with(id, func(c *chat) { c.topics[topic] = true }) }

// CloseTopic closes a topic: nobody but managers may post there.
func (s *Server) CloseTopic(id, topic int64) { s.with(id, func(c *chat) { c.topics[topic] = false }) }

// DeleteTopic deletes a topic.
func (s *Server) DeleteTopic(id, topic int64) { s.with(id, func(c *chat) { delete(c.topics, topic) }) }

// SetAdmin makes a person an administrator of a chat, or none any more.
func (s *Server) SetAdmin(id, user int64, is bool) {
	s.with(id, func(c *chat) { c.admins[user] = is })
}

// HideMembers keeps it from the bot what a member of a chat is; the list of
// administrators it is told.
func (s *Server) HideMembers(id int64) { s.with(id, func(c *chat) { c.hidden = true }) }

// SetWebhook sends updates to an address from now on: nobody can poll until the
// webhook is deleted.
func (s *Server) SetWebhook(address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.webhook = address
	s.interrupt()
}

// Limit switches the rate limits on, by a clock.
func (s *Server) Limit(now func() time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = now
}

// ForgetPhotos makes every file_id worthless.
func (s *Server) ForgetPhotos() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.photos)
}

// Kick throws the bot out of a chat, or, in a private one, blocks it.
func (s *Server) Kick(id int64) {
	s.with(id, func(c *chat) {
		switch c.kind {
		case Private:
			c.refuses = "Forbidden: bot was blocked by the user"
		case Group:
			c.refuses = "Forbidden: bot was kicked from the group chat"
		default:
			c.refuses = "Forbidden: bot was kicked from the supergroup chat"
		}
		s.push(map[string]any{"my_chat_member": map[string]any{
			"chat": c.json(), "from": map[string]any{"id": 42}, "date": time.Now().Unix(),
			"new_chat_member": map[string]any{"status": "kicked", "user": map[string]any{"id": BotID}},
		}})
	})
}

// Migrate upgrades a group to a supergroup with another ID, and tells the bot.
func (s *Server) Migrate(from, to int64) {
	s.AddChat(to, Supergroup)
	s.with(from, func(c *chat) {
		c.movedTo = to
		s.lastID++
		s.push(map[string]any{"message": map[string]any{"message_id": s.lastID, "date": time.Now().Unix(), "chat": c.json(), "from": map[string]any{"id": 42}, "migrate_to_chat_id": to}})
	})
}

// Revoke makes the token worthless.
func (s *Server) Revoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revoked = true
	s.interrupt()
}

// Messages are the bot's messages that stand in a chat, in the order in which
// they were posted.
func (s *Server) Messages(id int64) []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Message
	for _, m := range s.shown {
		if m.Chat == id {
			out = append(out, m.copy())
		}
	}
	return out
}

// All are the bot's messages over all chats, as Messages.
func (s *Server) All() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Message
	for _, m := range s.shown {
		out = append(out, m.copy())
	}
	return out
}

func (m *Message) copy() Message {
	c := *m
	c.Was = slices.Clone(m.Was)
	return c
}

// WaitMessages waits until n messages of the bot's stand in a chat, and returns
// them.
func (s *Server) WaitMessages(t testing.TB, id int64, n int) []Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var got []Message
	if !s.wait(ctx, func() bool { got = s.Messages(id); return len(got) >= n }) {
		t.Fatalf("%d messages are shown in chat %d, want %d: %+v", len(got), id, n, got)
	}
	return got
}

// Polling returns once the bot waits for updates, or with ctx's error.
func (s *Server) Polling(ctx context.Context) error {
	if !s.wait(ctx, func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.polls > 0 }) {
		return ctx.Err()
	}
	return nil
}

// wait waits until ok, which is asked again after each change; false if ctx
// was done first.
func (s *Server) wait(ctx context.Context, ok func() bool) bool {
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		if ok() {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// Delete deletes a message of the bot's.
func (s *Server) Delete(id, message int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shown = slices.DeleteFunc(s.shown, func(m *Message) bool { return m.Chat == id && m.ID == message })
	s.change()
}

// Calls is how often a method was called.
func (s *Server) Calls(method string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[method]
}

// A Request is a call as it came.
type Request struct {
	Method string
	Params url.Values
	Files  []string // the names of the fields that hold files
}

// Requests are all calls so far.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Menu is what help a command has for people of a language_code, by command,
// where no narrower scope has a menu of its own.
func (s *Server) Menu(code string) map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	raw := s.menus[menu{"default", code}]
	if raw == nil {
		raw = s.menus[menu{"default", ""}]
	}
	var list []struct{ Command, Description string }
	_ = json.Unmarshal(raw, &list)
	out := map[string]string{}
	for _, c := range list {
		out[c.Command] = c.Description
	}
	return out
}

// with changes a chat, which must be.
func (s *Server) with(id int64, f func(c *chat)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.chats[id]
	if c == nil {
		panic("telegramtest: there is no chat " + strconv.FormatInt(id, 10))
	}
	f(c)
	s.change()
}

// change wakes who waits; s.mu is held.
func (s *Server) change() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// interrupt ends the getUpdates that waits; s.mu is held.
func (s *Server) interrupt() {
	close(s.newest)
	s.newest = make(chan struct{})
	s.change()
}

// push queues an update; s.mu is held.
func (s *Server) push(body map[string]any) {
	for kind := range body {
		if s.allowed != "" && !strings.Contains(s.allowed, strconv.Quote(kind)) {
			return
		}
	}
	s.lastUp++
	body["update_id"] = s.lastUp
	s.last = update{id: s.lastUp, body: body}
	s.updates = append(s.updates, s.last)
	s.change()
}

func (c *chat) json() map[string]any {
	kind := c.kind
	if kind == Forum {
		kind = Supergroup
	}
	j := map[string]any{"id": c.id, "type": kind}
	if c.kind == Private {
		j["first_name"] = c.title
	} else {
		j["title"] = c.title
	}
	if c.kind == Forum {
		j["is_forum"] = true
	}
	return j
}
