package discordtest

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

// An interaction must be acknowledged within 3 s; then its token lives 15 min.
// https://discord.com/developers/docs/interactions/receiving-and-responding
const (
	ackWithin  = 3 * time.Second
	tokenLives = 15 * time.Minute
)

type interaction struct {
	id, token string
	kind      int // 2 command, 3 component
	channel   string
	source    string // the message pressed
	made      time.Time
	acked     bool
	old       bool   // it arrived late
	original  string // ID of the answer's message; "" if there is none
}

// Person is who acts.
type Person struct {
	ID     string
	Locale string    // "en-US" if ""
	Bot    bool      // a bot of somebody else's
	At     time.Time // when; zero for now
}

// Option is a field of a command, filled in.
type Option struct{ Name, Value string }

// UseCommand has a person pick a command from the menu in a channel or thread,
// and returns the interaction's ID. Options arrive in the order given.
func (s *Server) UseCommand(channel string, who Person, name string, options ...Option) string {
	opts := []any{}
	for _, o := range options {
		opts = append(opts, map[string]any{"name": o.Name, "type": 3, "value": o.Value})
	}
	data := map[string]any{"id": "300", "name": name, "type": 1, "options": opts}
	return s.interact(2, channel, who, data, "")
}

// Press has a person press a button of a message.
func (s *Server) Press(channel, message string, who Person, customID string) string {
	return s.interact(3, channel, who, map[string]any{"custom_id": customID, "component_type": 2}, message)
}

func (s *Server) interact(kind int, channel string, who Person, data map[string]any, source string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.channels[channel]
	if c == nil {
		panic("discordtest: no channel " + channel)
	}
	id := s.snowflakeAt(who.At)
	i := &interaction{id: id, token: "tok-" + chokepoint.ShortHash(40, id), kind: kind, channel: channel, source: source, made: orTime(who.At, s.now()), old: !who.At.IsZero()}
	s.interactions[i.id], s.tokens[i.token] = i, i
	if who.Locale == "" {
		who.Locale = "en-US"
	}
	user := map[string]any{"id": who.ID, "username": "person", "discriminator": "0"}
	event := map[string]any{
		"id": i.id, "application_id": ApplicationID, "type": kind, "token": i.token, "version": 1, "data": data,
		"channel_id": channel, "channel": c.json(), "locale": who.Locale, "app_permissions": "2147483647",
		"entitlements": []any{}, "authorizing_integration_owners": map[string]any{},
	}
	if g := s.guilds[c.Guild]; g != nil {
		roles := g.Members[who.ID]
		if roles == nil {
			roles = []string{}
		}
		event["guild_id"], event["guild_locale"], event["context"] = g.ID, "en-US", 0
		event["member"] = map[string]any{"user": user, "roles": roles, "permissions": strconv.FormatInt(g.permissions(who.ID), 10)}
	} else {
		event["user"], event["context"] = user, 1
	}
	if source != "" {
		if m := s.find(channel, source); m != nil {
			event["message"] = s.json(m)
		} else {
			event["message"] = map[string]any{"id": source, "channel_id": channel, "type": 0}
		}
	}
	s.dispatch("INTERACTION_CREATE", event, 0)
	return id
}

// Say has a person write a message, and returns its ID. The bot is told as
// Discord tells it: without MESSAGE_CONTENT the text is empty unless the bot
// is mentioned or the chat is direct.
func (s *Server) Say(channel string, who Person, text string) string {
	return s.say(channel, who, text, "")
}

// Answer has a person answer a message, which mentions its author.
func (s *Server) Answer(channel, message string, who Person, text string) string {
	return s.say(channel, who, text, message)
}

func (s *Server) say(channel string, who Person, text, answers string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.channels[channel]
	if c == nil {
		panic("discordtest: no channel " + channel)
	}
	m := &message{id: s.snowflakeAt(who.At), channel: channel, author: who.ID, bot: who.Bot, content: text, reply: answers}
	s.messages[channel] = append(s.messages[channel], m)
	s.dispatchMessage(m, c)
	return m.id
}

// Amend changes what a person said. The bot is told with MESSAGE_UPDATE.
func (s *Server) Amend(channel, message, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.find(channel, message)
	if m == nil {
		return
	}
	m.content = text
	m.edits++
	s.dispatchAs("MESSAGE_UPDATE", m, s.channels[channel])
}

var userMention = regexp.MustCompile(`<@!?([0-9]+)>`)

// dispatchMessage sends MESSAGE_CREATE to sessions that want it, the bot's own
// messages included.
func (s *Server) dispatchMessage(m *message, c *Channel) { s.dispatchAs("MESSAGE_CREATE", m, c) }

func (s *Server) dispatchAs(kind string, m *message, c *Channel) {
	event := s.json(m)
	mentions := []any{}
	toBot := m.author == BotID || c.Type == DirectChat
	mentioned := func(id string) {
		mentions = append(mentions, map[string]any{"id": id, "username": "person"})
		toBot = toBot || id == BotID
	}
	if m.author != BotID {
		for _, found := range userMention.FindAllStringSubmatch(m.content, -1) {
			mentioned(found[1])
		}
		if r := s.find(m.channel, m.reply); r != nil {
			event["referenced_message"] = s.json(r)
			mentioned(r.author)
		}
	}
	event["mentions"] = mentions
	intent := intentDirectMessages
	if g := s.guilds[c.Guild]; g != nil {
		intent = intentGuildMessages
		event["guild_id"] = g.ID
		roles := g.Members[m.author]
		if roles == nil {
			roles = []string{}
		}
		event["member"] = map[string]any{"roles": roles}
	}
	if !toBot {
		event["content"], event["embeds"], event["components"] = "", []any{}, []any{}
	}
	s.dispatch(kind, event, intent)
}

func (s *Server) callback(q *request, id, token string) (int, any, *refusal) {
	i := s.interactions[id]
	switch {
	case i == nil || i.token != token:
		return 0, nil, unknownInteraction
	case i.acked:
		return 0, nil, &refusal{400, 40060, "Interaction has already been acknowledged.", ""}
	case s.now().Sub(i.made) > ackWithin:
		return 0, nil, unknownInteraction
	}
	var b struct {
		Type int             `json:"type"`
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(q.Body, &b); err != nil {
		return 0, nil, invalidForm("_", "BASE_TYPE_BAD")
	}
	switch {
	case b.Type == 5:
		m := &message{id: s.snowflake(), channel: i.channel, author: BotID, webhook: true, waiting: true}
		s.messages[i.channel] = append(s.messages[i.channel], m)
		i.original = m.id
	case b.Type == 6 && i.kind == 3:
		i.original = i.source
	case b.Type == 4:
		q.Body = b.Data
		body, refused := s.readBody(q)
		if refused != nil {
			return 0, nil, refused
		}
		m := &message{id: s.snowflake(), channel: i.channel, author: BotID, webhook: true}
		if refused := m.apply(q, body); refused != nil {
			return 0, nil, refused
		}
		s.messages[i.channel] = append(s.messages[i.channel], m)
		i.original = m.id
	default:
		return 0, nil, invalidForm("type", "BASE_TYPE_CHOICES")
	}
	i.acked = true
	return 204, nil, nil
}

func orTime(t, or time.Time) time.Time {
	if t.IsZero() {
		return or
	}
	return t
}

// alive is the interaction of a token that is known, acknowledged, and not
// too old.
func (s *Server) alive(token string) (*interaction, *refusal) {
	i := s.tokens[token]
	switch {
	case i == nil || !i.acked:
		return nil, unknownWebhook
	case s.now().Sub(i.made) > tokenLives:
		return nil, &refusal{401, 50027, "Invalid Webhook Token", ""}
	}
	return i, nil
}

func (s *Server) followUp(q *request, token string) (int, any, *refusal) {
	i, refused := s.alive(token)
	if refused != nil {
		return 0, nil, refused
	}
	if m := s.find(i.channel, i.original); m != nil && m.waiting {
		return s.editOriginal(q, token) // deprecated, but so it is
	}
	b, refused := s.readBody(q)
	if refused != nil {
		return 0, nil, refused
	}
	m := &message{id: s.snowflake(), channel: i.channel, author: BotID, webhook: true, silent: b.Flags&flagSilent != 0}
	if refused := m.apply(q, b); refused != nil {
		return 0, nil, refused
	}
	s.messages[i.channel] = append(s.messages[i.channel], m)
	return 200, s.json(m), nil
}

func (s *Server) editOriginal(q *request, token string) (int, any, *refusal) {
	i, refused := s.alive(token)
	if refused != nil {
		return 0, nil, refused
	}
	m := s.find(i.channel, i.original)
	if m == nil {
		return 0, nil, unknownMessage
	}
	b, refused := s.readBody(q)
	if refused != nil {
		return 0, nil, refused
	}
	if refused := m.apply(q, b); refused != nil {
		return 0, nil, refused
	}
	if !m.waiting {
		m.edits++
	}
	m.waiting = false
	return 200, s.json(m), nil
}

func (s *Server) deleteOriginal(token string) (int, any, *refusal) {
	i, refused := s.alive(token)
	if refused != nil {
		return 0, nil, refused
	}
	if s.find(i.channel, i.original) == nil {
		return 0, nil, unknownMessage
	}
	s.drop(i.channel, i.original)
	return 204, nil, nil
}

// command is what is checked of an entry of the menu.
// https://discord.com/developers/docs/interactions/application-commands
type command struct {
	Name                     string            `json:"name"`
	Description              string            `json:"description"`
	DescriptionLocalizations map[string]string `json:"description_localizations"`
	Type                     int               `json:"type"`
	Options                  []struct {
		Type                     int               `json:"type"`
		Name                     string            `json:"name"`
		Description              string            `json:"description"`
		DescriptionLocalizations map[string]string `json:"description_localizations"`
		Required                 bool              `json:"required"`
		Choices                  []struct {
			Name  string `json:"name"`
			Value any    `json:"value"`
		} `json:"choices"`
	} `json:"options"`
}

var (
	commandName = regexp.MustCompile(`^[-_'\p{Ll}\p{Lo}\p{N}]{1,32}$`)
	locales     = []string{"id", "da", "de", "en-GB", "en-US", "es-ES", "es-419", "fr", "hr", "it", "lt", "hu", "nl", "no", "pl", "pt-BR", "ro", "fi", "sv-SE", "vi", "tr", "cs", "el", "bg", "ru", "uk", "hi", "th", "zh-CN", "ja", "zh-TW", "ko"}
)

func (c *command) check(at string) *refusal {
	size := runes(c.Name) + runes(c.Description)
	describe := func(at, text string, localized map[string]string) *refusal {
		if n := runes(text); n < 1 || n > 100 {
			return invalidForm(at+".description", "BASE_TYPE_BAD_LENGTH")
		}
		for l, t := range localized {
			if !slices.Contains(locales, l) {
				return invalidForm(at+".description_localizations", "APPLICATION_COMMAND_INVALID_LOCALE")
			}
			if n := runes(t); n < 1 || n > 100 {
				return invalidForm(at+".description_localizations", "BASE_TYPE_BAD_LENGTH")
			}
		}
		return nil
	}
	if !commandName.MatchString(c.Name) {
		return invalidForm(at+".name", "APPLICATION_COMMAND_INVALID_NAME")
	}
	if refused := describe(at, c.Description, c.DescriptionLocalizations); refused != nil {
		return refused
	}
	if len(c.Options) > 25 {
		return invalidForm(at+".options", "BASE_TYPE_MAX_LENGTH")
	}
	optional := false
	names := map[string]bool{}
	for i, o := range c.Options {
		at := fmt.Sprintf("%s.options.%d", at, i)
		switch {
		case !commandName.MatchString(o.Name) || names[o.Name]:
			return invalidForm(at+".name", "APPLICATION_COMMAND_OPTIONS_NAME_INVALID")
		case o.Required && optional:
			return invalidForm(at, "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID")
		case len(o.Choices) > 25:
			return invalidForm(at+".choices", "BASE_TYPE_MAX_LENGTH")
		}
		names[o.Name] = true
		optional = optional || !o.Required
		if refused := describe(at, o.Description, o.DescriptionLocalizations); refused != nil {
			return refused
		}
		size += runes(o.Name) + runes(o.Description)
		for _, ch := range o.Choices {
			if n := runes(ch.Name); n < 1 || n > 100 {
				return invalidForm(at+".choices", "BASE_TYPE_BAD_LENGTH")
			}
			size += 2 * runes(ch.Name)
		}
	}
	if size > 8000 {
		return invalidForm(at, "APPLICATION_COMMAND_TOO_LARGE")
	}
	return nil
}

func (s *Server) overwrite(q *request) (int, any, *refusal) {
	var raws []json.RawMessage
	if err := json.Unmarshal(q.Body, &raws); err != nil {
		return 0, nil, invalidForm("_", "BASE_TYPE_BAD")
	}
	if len(raws) > 130 {
		return 0, nil, invalidForm("_", "BASE_TYPE_MAX_LENGTH")
	}
	var stored []json.RawMessage
	names := map[string]bool{}
	for i, raw := range raws {
		var c command
		if err := json.Unmarshal(raw, &c); err != nil {
			return 0, nil, invalidForm(strconv.Itoa(i), "BASE_TYPE_BAD")
		}
		if refused := c.check(strconv.Itoa(i)); refused != nil {
			return 0, nil, refused
		}
		if names[c.Name] {
			return 0, nil, invalidForm(strconv.Itoa(i)+".name", "APPLICATION_COMMANDS_DUPLICATE_NAME")
		}
		names[c.Name] = true
		all := map[string]any{}
		if err := json.Unmarshal(raw, &all); err != nil {
			return 0, nil, invalidForm(strconv.Itoa(i), "BASE_TYPE_BAD")
		}
		// What Discord adds, and what it leaves out when it is the default.
		all["id"], all["application_id"], all["version"] = s.snowflake(), ApplicationID, s.snowflake()
		if _, ok := all["type"]; !ok {
			all["type"] = 1
		}
		for key, v := range map[string]any{"default_member_permissions": nil, "nsfw": false, "dm_permission": true, "name_localizations": nil} {
			if _, ok := all[key]; !ok {
				all[key] = v
			}
		}
		if opts, ok := all["options"].([]any); ok {
			if len(opts) == 0 {
				delete(all, "options")
			}
			for _, o := range opts {
				if o, ok := o.(map[string]any); ok && o["required"] == false {
					delete(o, "required")
				}
			}
		}
		b, err := json.Marshal(all)
		if err != nil {
			return 0, nil, invalidForm(strconv.Itoa(i), "BASE_TYPE_BAD")
		}
		stored = append(stored, b)
	}
	s.commands = stored
	s.overwrites++
	return 200, s.listCommands(true), nil
}

// listCommands leaves the localizations out unless asked for them.
func (s *Server) listCommands(localized bool) []any {
	list := []any{}
	for _, raw := range s.commands {
		var all map[string]any
		if err := json.Unmarshal(raw, &all); err != nil {
			panic(err) // it was marshalled here
		}
		if !localized {
			delete(all, "name_localizations")
			delete(all, "description_localizations")
			if opts, ok := all["options"].([]any); ok {
				for _, o := range opts {
					if o, ok := o.(map[string]any); ok {
						delete(o, "description_localizations")
					}
				}
			}
		}
		list = append(list, all)
	}
	return list
}

// Command is an entry of the bot's menu.
type Command struct {
	Name         string
	Descriptions map[string]string // by locale; "" is the default
	Options      []CommandOption
}

// CommandOption is a field of a command.
type CommandOption struct {
	Name         string
	Descriptions map[string]string
	Required     bool
	Choices      []string
}

// Commands is the menu as it stands, and how often it was overwritten.
func (s *Server) Commands() (menu []Command, overwrites int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	with := func(text string, localized map[string]string) map[string]string {
		all := map[string]string{"": text}
		for l, t := range localized {
			all[l] = t
		}
		return all
	}
	for _, raw := range s.commands {
		var c command
		if err := json.Unmarshal(raw, &c); err != nil {
			panic(err) // it was decoded before
		}
		entry := Command{Name: c.Name, Descriptions: with(c.Description, c.DescriptionLocalizations)}
		for _, o := range c.Options {
			option := CommandOption{Name: o.Name, Descriptions: with(o.Description, o.DescriptionLocalizations), Required: o.Required}
			for _, ch := range o.Choices {
				option.Choices = append(option.Choices, fmt.Sprint(ch.Value))
			}
			entry.Options = append(entry.Options, option)
		}
		menu = append(menu, entry)
	}
	return menu, s.overwrites
}
