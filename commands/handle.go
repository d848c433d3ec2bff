package commands

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode/utf16"

	"golang.org/x/text/width"

	"github.com/chokepoint-bot/chokepoint/bot"
	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/internal/i18n"
	"github.com/chokepoint-bot/chokepoint/watchers/price"
)

const (
	maxInput = 1000 // bytes of what a person says that are read
	// maxAnswer is how long an answer may be in UTF-16 units, addresses
	// included: below Telegram's 4096, and Discord's for an embed.
	maxAnswer = 3600
)

// A request is one Inbound with what is needed to answer it.
type request struct {
	*Handler
	ctx   context.Context
	in    bot.Inbound
	now   time.Time
	chat  chokepoint.Chat
	known bool // the store has the chat
	lang  chokepoint.Language
	zone  *time.Location
	cmd   *command
	args  []string
	rest  string // the arguments as they were typed
}

// Handle answers what a person said. It always answers.
func (h *Handler) Handle(ctx context.Context, in bot.Inbound) bot.Answer {
	r := &request{Handler: h, ctx: ctx, in: in, now: h.Now()}
	a, err := r.answer()
	if err != nil {
		a = bot.Answer{Message: r.apology(err)}
	}
	a.Message = r.bounded(a.Message)
	return a
}

func (r *request) answer() (bot.Answer, error) {
	if err := r.readChat(); err != nil {
		return bot.Answer{}, err
	}
	if err := r.understand(); err != nil {
		return bot.Answer{}, err
	}
	if r.cmd.ops && !r.chat.Follows(chokepoint.TopicOps) {
		return bot.Answer{}, mistake("operators")
	}
	if r.cmd.admin && (r.cmd.always || len(r.args) > 0) {
		if err := r.mayChange(); err != nil {
			return bot.Answer{}, err
		}
	}
	required := 0
	for _, p := range r.cmd.params {
		if p.required {
			required++
		}
	}
	if len(r.args) < required {
		return bot.Answer{}, misuse("arguments")
	}
	return r.cmd.run(r)
}

// readChat reads the chat's settings; an unknown chat has the defaults, and
// the language of the person.
func (r *request) readChat() error {
	r.lang, r.zone = r.Language, time.UTC
	if lang, ok := i18n.Match(r.in.Locale); ok {
		r.lang = lang
	}
	c, err := r.Desk.Chat(r.ctx, r.in.Chat)
	switch {
	case errors.Is(err, chokepoint.ErrNotFound):
		c = chokepoint.Chat{ID: r.in.Chat, Title: clip(bot.Neutral(r.in.Title), 128), Language: r.lang, Zone: r.Zone}
	case err != nil:
		return err
	default:
		r.known = true
	}
	r.setChat(c)
	return nil
}

func (r *request) setChat(c chokepoint.Chat) {
	r.chat = c
	if c.Language != "" {
		r.lang = c.Language
	}
	if zone, err := time.LoadLocation(c.Zone); err == nil {
		r.zone = zone
	}
}

// changeChat writes what change makes of the chat's settings.
func (r *request) changeChat(change func(*chokepoint.Chat)) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	// Read again: it may have changed since.
	if err := r.readChat(); err != nil {
		return err
	}
	c := r.chat
	change(&c)
	if r.in.Title != "" {
		c.Title = clip(bot.Neutral(r.in.Title), 128)
	}
	c.Changed = r.now
	if err := r.Desk.PutChat(r.ctx, c); err != nil {
		return err
	}
	r.known = true
	r.setChat(c)
	return nil
}

// mayChange is nil if the person may change the chat's settings.
func (r *request) mayChange() error {
	if !r.in.Group {
		return nil
	}
	if r.in.Admin == nil {
		return mistake("not-admin", i18n.Args{"Command": "/" + r.cmd.name})
	}
	ok, err := r.in.Admin(r.ctx)
	switch {
	case err != nil:
		r.Log.Warn("whether a person is an admin could not be found out", "chat", r.in.Chat.String(), "err", err)
		return mistake("admin-unknown")
	case !ok:
		return mistake("not-admin", i18n.Args{"Command": "/" + r.cmd.name})
	}
	return nil
}

// understand finds the command and its arguments. What is said in a mention
// needs no slash, and may be a question: "AAOI?".
func (r *request) understand() error {
	said := r.in.Text
	if len(said) > maxInput {
		said = said[:maxInput]
	}
	said = bot.Neutral(width.Fold.String(strings.ToValidUTF8(said, "")))
	fields := strings.Fields(said)
	if len(fields) == 0 {
		r.cmd = r.byWord["help"]
		return nil
	}
	word, slash := strings.CutPrefix(fields[0], "/")
	word, _, _ = strings.Cut(strings.ToLower(word), "@") // Telegram's "/status@somebot"
	take := func(c *command, args []string) {
		r.cmd, r.args, r.rest = c, args, strings.Join(args, " ")
	}
	if c := r.byWord[word]; c != nil {
		take(c, fields[1:])
		return nil
	}
	if !slash {
		if symbols := r.symbolsIn(fields); len(symbols) == 1 {
			take(r.byWord["status"], symbols)
			return nil
		} else if len(symbols) > 1 {
			take(r.byWord["price"], symbols)
			return nil
		}
		if _, err := price.ParseRule(said, r.now.In(r.zone)); err == nil {
			take(r.byWord["alert"], fields)
			return nil
		}
		if c := r.byWord[strings.TrimRight(word, "?!.。吗呢吧")]; c != nil {
			take(c, fields[1:])
			return nil
		}
	}
	near := r.nearestCommand(word)
	if near == "" {
		return mistake("unknown", i18n.Args{"Word": clip(fields[0], 40)})
	}
	return &UserError{Key: "commands.err.unknown-near", Args: i18n.Args{"Word": clip(fields[0], 40), "Near": "/" + near}}
}

// symbolsIn are the symbols that a mention consists of; none if it says
// anything else.
func (r *request) symbolsIn(fields []string) []string {
	var found []string
	for _, f := range fields {
		f = strings.TrimRight(f, "?!.,;吗呢怎么样")
		if f == "" {
			continue
		}
		s, ok := r.symbol(f)
		if !ok {
			return nil
		}
		found = append(found, string(s))
	}
	return found
}

// nearestCommand is the name that word was probably meant to be; "" if none
// is near.
func (r *request) nearestCommand(word string) string {
	if n := len([]rune(word)); n < 2 || n > 20 {
		return ""
	}
	var names []string
	for _, c := range r.commands {
		if !c.ops || r.chat.Follows(chokepoint.TopicOps) {
			names = append(names, append([]string{c.name}, c.aliases...)...)
		}
	}
	near := nearest(word, names)
	if near == "" {
		return ""
	}
	return r.byWord[near].name
}

// apology words an error for the person.
func (r *request) apology(err error) bot.Message {
	var user *UserError
	if !errors.As(err, &user) {
		name := ""
		if r.cmd != nil {
			name = r.cmd.name
		}
		r.Log.Error("a command could not be answered", "command", name, "chat", r.in.Chat.String(), "err", err)
		return bot.Message{Tone: bot.Warn, Lines: []bot.Line{bot.Text(r.t("commands.err.store"))}}
	}
	m := bot.Message{Tone: bot.Warn, Lines: []bot.Line{bot.Text(r.t(user.Key, user.Args))}}
	if user.Usage && r.cmd != nil {
		m.Lines = append(m.Lines, r.usage(r.cmd)...)
	}
	if near, ok := user.Args["Near"].(string); ok {
		m.Actions = []bot.Action{{Label: near, Command: near}}
	}
	return m
}

// usage is how a command is written, with an example.
func (r *request) usage(c *command) []bot.Line {
	form := "/" + c.name
	for _, p := range c.params {
		name := r.t("commands.name." + p.word())
		if p.required {
			form += " <" + name + ">"
		} else {
			form += " [" + name + "]"
		}
	}
	lines := []bot.Line{bot.Labelled(r.t("commands.usage"), form)}
	if example := r.t("commands." + c.name + ".example"); example != "/"+c.name {
		lines = append(lines, bot.Labelled(r.t("commands.example"), example))
	}
	return lines
}

// bounded leaves out the last lines of an answer that is too long for a
// platform, and says so.
func (r *request) bounded(m bot.Message) bot.Message {
	room := maxAnswer - units(m.Title) - units(m.Footer) - 80
	for i, l := range m.Lines {
		n := units(l.PlainText()) + 1
		for _, s := range l.Spans {
			n += len(s.URL)
		}
		if room -= n; room < 0 {
			m.Lines = append(m.Lines[:i:i], bot.Text(r.t("commands.more", i18n.Args{"N": len(m.Lines) - i})))
			break
		}
	}
	return m
}

// units is a length as Telegram counts it.
func units(s string) (n int) {
	for _, c := range s {
		n += max(utf16.RuneLen(c), 1)
	}
	return n
}

// t words a message in the chat's language.
func (r *request) t(key string, args ...i18n.Args) string { return r.Words.T(r.lang, key, args...) }

// followHint is what a chat that follows nothing is told.
func (r *request) followHint(m *bot.Message) {
	if len(r.chat.Topics) == 0 {
		m.Lines = append(m.Lines, bot.Line{}, bot.Text(r.t("commands.hint.follow")))
		m.Actions = append(m.Actions, bot.Action{Label: r.t("commands.action.follow"), Command: "/follow all"})
	}
}

func said(m bot.Message) (bot.Answer, error) { return bot.Answer{Message: m}, nil }
