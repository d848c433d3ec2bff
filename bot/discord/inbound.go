package discord

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/bwmarrin/discordgo"

	"github.com/chokepoint-bot/chokepoint/bot"
	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

const (
	atOnce      = 64              // inbounds being handled
	mostWaiting = 1024            // and those waiting, all acknowledged; more are dropped
	seenKept    = 2048            // events remembered, as a resume may repeat them
	tooOld      = 5 * time.Minute // older commands are not obeyed
)

// Permission bits that make an admin.
// https://discord.com/developers/docs/topics/permissions
const (
	administrator = 1 << 3
	manageGuild   = 1 << 5
)

// receiver turns the gateway's events into inbounds, for one Run.
type receiver struct {
	a      *Adapter
	got    func(context.Context, bot.Inbound)
	params map[string][]string // names of a command's options in the order of typing

	slots   chan struct{} // one for each being handled
	waiting chan struct{} // one for each not yet done
	running sync.WaitGroup

	mu   sync.Mutex
	over bool   // nothing more is handled
	self string // the bot's user ID, from READY
	seen *seen
}

func newReceiver(a *Adapter, menu []bot.CommandSpec, got func(context.Context, bot.Inbound)) *receiver {
	r := &receiver{
		a: a, got: got, params: map[string][]string{}, seen: &seen{have: map[string]bool{}},
		slots: make(chan struct{}, atOnce), waiting: make(chan struct{}, mostWaiting),
	}
	for _, c := range menu {
		for _, p := range c.Params {
			r.params[c.Name] = append(r.params[c.Name], p.Name)
		}
	}
	return r
}

// The parts of events that we read. The library's own types fail to decode as a
// whole over a kind of component that they do not know.
type (
	user struct {
		ID  string `json:"id"`
		Bot bool   `json:"bot"`
	}
	member struct {
		User        *user  `json:"user"`
		Permissions string `json:"permissions"`
	}
	interactionEvent struct {
		ID        string       `json:"id"`
		App       string       `json:"application_id"`
		Type      int          `json:"type"`
		Token     string       `json:"token"`
		Guild     string       `json:"guild_id"`
		ChannelID string       `json:"channel_id"`
		Channel   *channelInfo `json:"channel"`
		Member    *member      `json:"member"`
		User      *user        `json:"user"`
		Locale    string       `json:"locale"`
		Message   *created     `json:"message"`
		Data      struct {
			Name     string   `json:"name"`
			Options  []option `json:"options"`
			CustomID string   `json:"custom_id"`
		} `json:"data"`
	}
	option struct {
		Name  string `json:"name"`
		Value any    `json:"value"`
	}
	messageEvent struct {
		ID        string `json:"id"`
		Type      int    `json:"type"`
		ChannelID string `json:"channel_id"`
		Guild     string `json:"guild_id"`
		Content   string `json:"content"`
		Author    *user  `json:"author"`
		Webhook   string `json:"webhook_id"`
		Mentions  []user `json:"mentions"`
		Reference *struct {
			MessageID string `json:"message_id"`
		} `json:"message_reference"`
	}
)

// Interaction and message types.
const (
	typeCommand   = 2
	typeComponent = 3
	typeDefault   = 0
	typeReply     = 19
)

// event takes one event off the gateway. The library calls it on the goroutine
// that reads, holding locks: it must not block.
func (r *receiver) event(ctx context.Context, e *discordgo.Event) {
	if e == nil {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			r.a.log.Error("reading an event panicked", "event", e.Type, "panic", p, "stack", string(debug.Stack()))
		}
	}()
	switch e.Type {
	case "READY":
		var ready struct {
			User user `json:"user"`
		}
		if r.decode(e, &ready) {
			r.mu.Lock()
			r.self = ready.User.ID
			r.mu.Unlock()
		}
	case "INTERACTION_CREATE":
		var i interactionEvent
		if r.decode(e, &i) {
			r.interaction(ctx, i)
		}
	case "MESSAGE_CREATE":
		var m messageEvent
		if r.decode(e, &m) {
			r.message(ctx, m)
		}
	}
}

func (r *receiver) decode(e *discordgo.Event, v any) bool {
	if err := json.Unmarshal(e.RawData, v); err != nil {
		r.a.log.Warn("an event is not what it should be", "event", e.Type, "err", err)
		return false
	}
	return true
}

// fresh says whether an event of that ID is young and seen for the first time.
func (r *receiver) fresh(id string) (at time.Time, ok bool) {
	at, err := discordgo.SnowflakeTimestamp(id)
	if err != nil || r.a.now().Sub(at) > tooOld {
		return at, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return at.UTC(), r.seen.add(id)
}

func (r *receiver) interaction(ctx context.Context, i interactionEvent) {
	text := i.Data.CustomID
	switch i.Type {
	case typeCommand:
		text = r.typed(i.Data.Name, i.Data.Options)
	case typeComponent:
	default:
		return
	}
	who := i.User
	if i.Member != nil && i.Member.User != nil {
		who = i.Member.User
	}
	if who == nil || who.Bot || i.Token == "" || i.ChannelID == "" {
		return
	}
	at, ok := r.fresh(i.ID)
	if !ok {
		return
	}
	in := bot.Inbound{ID: i.ID, User: who.ID, Group: i.Guild != "", Text: text, Locale: i.Locale, At: at}
	if i.Type == typeComponent && i.Message != nil {
		in.Message = i.Message.ID
	}
	in.Admin = func(context.Context) (bool, error) {
		if i.Guild == "" {
			return true, nil
		}
		if i.Member == nil {
			return false, fmt.Errorf("discord: interaction %s names no member", i.ID)
		}
		// What the person may do in this channel, as Discord has worked it out.
		bits, err := strconv.ParseUint(i.Member.Permissions, 10, 64)
		if err != nil {
			return false, fmt.Errorf("discord: permissions of interaction %s: %w", i.ID, err)
		}
		return bits&(administrator|manageGuild) != 0, nil
	}
	to := &reply{channel: i.ChannelID, app: i.App, token: i.Token, at: at}
	in.ReplyTo = to
	r.spawn(ctx, in, i.ChannelID, i.Channel, func() { r.a.deferAnswer(ctx, i.ID, to) }, func() { r.a.settle(ctx, to) })
}

// typed is a command as a person would type it: values in the menu's order,
// whatever the order in which they were filled in.
func (r *receiver) typed(name string, options []option) string {
	order := r.params[name]
	rank := func(o option) int {
		if i := slices.Index(order, o.Name); i >= 0 {
			return i
		}
		return len(order)
	}
	slices.SortStableFunc(options, func(a, b option) int { return rank(a) - rank(b) })
	words := []string{"/" + name}
	for _, o := range options {
		if v := strings.TrimSpace(strings.NewReplacer("\r\n", " ", "\n", " ").Replace(fmt.Sprint(o.Value))); v != "" {
			words = append(words, v)
		}
	}
	return strings.Join(words, " ")
}

func (r *receiver) message(ctx context.Context, m messageEvent) {
	r.mu.Lock()
	self := r.self
	r.mu.Unlock()
	if m.Author == nil || m.Author.Bot || m.Author.ID == self || m.Webhook != "" || m.ChannelID == "" || m.Type != typeDefault && m.Type != typeReply {
		return
	}
	called := slices.ContainsFunc(m.Mentions, func(u user) bool { return u.ID == self })
	if m.Guild != "" && !called {
		return
	}
	at, ok := r.fresh(m.ID)
	if !ok {
		return
	}
	text := strings.NewReplacer("<@"+self+">", "", "<@!"+self+">", "").Replace(m.Content)
	in := bot.Inbound{ID: m.ID, User: m.Author.ID, Group: m.Guild != "", Text: strings.TrimSpace(text), At: at}
	if m.Reference != nil {
		in.Message = m.Reference.MessageID
	}
	in.Admin = func(ctx context.Context) (bool, error) {
		if m.Guild == "" {
			return true, nil
		}
		return r.a.where.admin(ctx, r.a, m.Guild, m.Author.ID)
	}
	in.ReplyTo = &reply{channel: m.ChannelID, answers: m.ID, at: at}
	r.spawn(ctx, in, m.ChannelID, nil, nil, nil)
}

// spawn handles an inbound on a goroutine of its own: first is done at once,
// the rest when one of the slots is free, last in any case.
func (r *receiver) spawn(ctx context.Context, in bot.Inbound, channel string, known *channelInfo, first, last func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return
	}
	select {
	case r.waiting <- struct{}{}:
	default:
		r.a.log.Warn("too many commands at a time; one was dropped", "inbound", in.ID)
		return
	}
	r.running.Go(func() {
		defer func() { <-r.waiting }()
		defer func() {
			if p := recover(); p != nil {
				r.a.log.Error("handling a command panicked", "inbound", in.ID, "panic", p, "stack", string(debug.Stack()))
			}
		}()
		if first != nil {
			first()
		}
		if last != nil {
			defer last()
		}
		// What was taken off the gateway is handled, even if Run ends: it will
		// not come again.
		r.slots <- struct{}{}
		defer func() { <-r.slots }()
		at := r.a.where.place(context.WithoutCancel(ctx), r.a, channel, known)
		in.Chat = chokepoint.ChatID{Platform: chokepoint.Discord, ID: at.chat}
		in.Thread, in.Title = at.thread, at.title
		r.got(ctx, in)
	})
}

// finish takes no more events, and waits for those being handled.
func (r *receiver) finish() {
	r.mu.Lock()
	r.over = true
	r.mu.Unlock()
	r.running.Wait()
}

// seen remembers the last IDs.
type seen struct {
	have map[string]bool
	ring [seenKept]string
	next int
}

// add says whether id is new.
func (s *seen) add(id string) bool {
	if s.have[id] {
		return false
	}
	delete(s.have, s.ring[s.next])
	s.have[id] = true
	s.ring[s.next] = id
	s.next = (s.next + 1) % len(s.ring)
	return true
}
