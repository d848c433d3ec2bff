// Package commands answers what people say to the bot. One table of commands
// makes the help, the platforms' menus and the dispatch. It answers from what
// the store holds, asks nobody, and knows no platform.
package commands

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/chokepoint-bot/chokepoint/bot"
	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/internal/i18n"
	"github.com/chokepoint-bot/chokepoint/internal/thesis"
)

// Desk is the part of the store that commands need. Its methods are store's.
type Desk interface {
	Chat(ctx context.Context, id chokepoint.ChatID) (chokepoint.Chat, error)
	PutChat(ctx context.Context, c chokepoint.Chat) error
	Rules(ctx context.Context, id chokepoint.ChatID) ([]chokepoint.Rule, error)
	PutRule(ctx context.Context, r chokepoint.Rule) error
	DeleteRule(ctx context.Context, id chokepoint.ChatID, rule string) error
	Alert(ctx context.Context, id chokepoint.AlertID) (chokepoint.Alert, error)
	Alerts(ctx context.Context, q chokepoint.AlertQuery) ([]chokepoint.Alert, error)
	Posting(ctx context.Context, c chokepoint.ChatID, s chokepoint.StoryID) (chokepoint.Posting, error)
	Quotes(ctx context.Context) ([]chokepoint.Quote, error)
	Bars(ctx context.Context, s chokepoint.Symbol, from string) ([]chokepoint.Bar, error)
	Board(ctx context.Context) ([]chokepoint.Card, error)
	Health(ctx context.Context) ([]chokepoint.Health, error)
	Ticks(ctx context.Context) ([]chokepoint.TickReport, error)
	Mark(ctx context.Context, name string) (string, error)
	PutMark(ctx context.Context, name, value string) error
	DeadLetters(ctx context.Context, n int) ([]chokepoint.Delivery, error)
	Requeue(ctx context.Context, now time.Time, id chokepoint.DeliveryID) error
	Depth(ctx context.Context, now time.Time) (chokepoint.Depth, error)
}

// Render words what alerts and cards hold, as the alerts themselves do.
type Render interface {
	// Headline is an alert in one line.
	Headline(a *chokepoint.Alert, lang chokepoint.Language) string
	// Reading is a risk's live reading, from Card.Facts; "" if there is none.
	Reading(f chokepoint.Facts, lang chokepoint.Language) string
	// Reason is one step of why an alert fired.
	Reason(r chokepoint.Reason, lang chokepoint.Language) string
}

// Topic is a watcher that chats can follow.
type Topic struct {
	Name chokepoint.Topic
	Kind string // expansion, lta, price, thesis
	// Next is the next time the watcher looks by time alone; nil if unknown.
	Next func(time.Time) time.Time
}

// Config is what a Handler works with. Log and Version may be left out.
type Config struct {
	Desk    Desk
	Thesis  *thesis.Thesis
	Words   *i18n.Catalog
	Render  Render
	Now     func() time.Time
	Log     *slog.Logger
	Version string

	Watch   []chokepoint.Symbol // symbols that quotes are asked for
	Topics  []Topic
	Sources []string // names of the sources that are asked

	// Of chats that the store does not know.
	Language chokepoint.Language
	Zone     string // IANA name
}

// Handler answers commands. It may be called concurrently.
type Handler struct {
	Config
	commands []command
	byWord   map[string]*command // names and aliases, folded

	writing sync.Mutex    // held from reading a setting to writing it
	drawing chan struct{} // charts at a time
}

var _ bot.Handler = (*Handler)(nil)

// New makes the handler of a configuration.
func New(cfg Config) *Handler {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Language == "" {
		cfg.Language = chokepoint.English
	}
	if _, err := time.LoadLocation(cfg.Zone); err != nil || cfg.Zone == "" {
		cfg.Zone = "UTC"
	}
	h := &Handler{Config: cfg, byWord: map[string]*command{}, drawing: make(chan struct{}, 2)}
	h.commands = table()
	for i := range h.commands {
		c := &h.commands[i]
		for _, w := range append([]string{c.name}, c.aliases...) {
			h.byWord[w] = c
		}
	}
	return h
}

// Menu is what platforms offer, in the order of the table.
func (h *Handler) Menu() []bot.CommandSpec {
	var menu []bot.CommandSpec
	for _, c := range h.commands {
		spec := bot.CommandSpec{Name: c.name, Help: map[chokepoint.Language]string{}, Admin: c.admin || c.ops}
		for _, lang := range i18n.Languages {
			spec.Help[lang] = clip(h.Words.T(lang, "commands."+c.name+".help"), 100)
		}
		for _, p := range c.params {
			param := bot.Param{Name: p.name, Required: p.required, Help: map[chokepoint.Language]string{}}
			for _, lang := range i18n.Languages {
				param.Help[lang] = clip(h.Words.T(lang, "commands.param."+p.word()), 100)
			}
			param.Choices = p.choices
			if p.topics {
				for _, t := range h.Topics[:min(len(h.Topics), 25)] {
					param.Choices = append(param.Choices, string(t.Name))
				}
			}
			spec.Params = append(spec.Params, param)
		}
		menu = append(menu, spec)
	}
	return menu
}

// UserError is a person's mistake: a key of the catalog with its arguments.
// Any other error is logged, and answered with an apology.
type UserError struct {
	Key  string
	Args i18n.Args
	// Usage says that how the command is written helps.
	Usage bool
}

func (e *UserError) Error() string { return "commands: " + e.Key }

func mistake(key string, args ...i18n.Args) error {
	return &UserError{Key: "commands.err." + key, Args: first(args)}
}

// misuse is a mistake that is answered with how the command is written.
func misuse(key string, args ...i18n.Args) error {
	return &UserError{Key: "commands.err." + key, Args: first(args), Usage: true}
}

func first(args []i18n.Args) i18n.Args {
	if len(args) > 0 {
		return args[0]
	}
	return nil
}
