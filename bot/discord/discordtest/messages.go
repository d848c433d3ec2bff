package discordtest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// message is one as it stands.
type message struct {
	id      string
	channel string
	author  string // BotID, or a person's
	nonce   string
	bot     bool // another bot's
	webhook bool // came as an answer to an interaction
	content string
	embeds  []embed
	rows    []row
	files   []attached
	silent  bool
	edits   int
	reply   string // the message it answers
	waiting bool   // "chokepoint is thinking…"
}

type embed struct {
	Title       string         `json:"title"`
	URL         string         `json:"url"`
	Description string         `json:"description"`
	Color       int            `json:"color"`
	Footer      *embedText     `json:"footer"`
	Author      *embedText     `json:"author"`
	Image       *embedImage    `json:"image"`
	Thumbnail   *embedImage    `json:"thumbnail"`
	Fields      []embedField   `json:"fields"`
	Timestamp   string         `json:"timestamp"`
	Provider    map[string]any `json:"provider"`
}

type embedText struct {
	Text string `json:"text"`
	Name string `json:"name"`
}

type embedImage struct {
	URL string `json:"url"`
}

type embedField struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type row struct {
	Type       int      `json:"type"`
	Components []button `json:"components"`
}

type button struct {
	Type     int             `json:"type"`
	Style    int             `json:"style"`
	Label    string          `json:"label"`
	CustomID string          `json:"custom_id"`
	URL      string          `json:"url"`
	Emoji    json.RawMessage `json:"emoji"`
}

type attached struct {
	name, alt string
	data      []byte
}

// body is what a message is made or changed by; a nil field was left out.
type body struct {
	Content         *string           `json:"content"`
	Embeds          *[]embed          `json:"embeds"`
	Components      *[]row            `json:"components"`
	Attachments     *[]attachmentBody `json:"attachments"`
	AllowedMentions json.RawMessage   `json:"allowed_mentions"`
	Flags           int               `json:"flags"`
	Nonce           any               `json:"nonce"`
	EnforceNonce    bool              `json:"enforce_nonce"`
	Reference       *reference        `json:"message_reference"`
}

type attachmentBody struct {
	ID          json.RawMessage `json:"id"`
	Filename    string          `json:"filename"`
	Description string          `json:"description"`
}

type reference struct {
	MessageID       string `json:"message_id"`
	ChannelID       string `json:"channel_id"`
	FailIfNotExists *bool  `json:"fail_if_not_exists"`
}

// Message flags. https://discord.com/developers/docs/resources/message#message-object-message-flags
const (
	flagEphemeral = 1 << 6
	flagSilent    = 1 << 12
)

// readBody decodes and checks the body of a message against Discord's limits.
// https://discord.com/developers/docs/resources/message#embed-object-embed-limits
// https://discord.com/developers/docs/components/reference
func (s *Server) readBody(q *request) (*body, *refusal) {
	var b body
	if err := json.Unmarshal(q.Body, &b); err != nil {
		return nil, invalidForm("_", "BASE_TYPE_BAD: "+err.Error())
	}
	if string(compact(b.AllowedMentions)) != `{"parse":[]}` {
		s.breach("%s %s: allowed_mentions is %q and not {\"parse\":[]}", q.Method, q.Path, b.AllowedMentions)
	}
	if b.Content != nil && runes(*b.Content) > 2000 {
		return nil, invalidForm("content", "BASE_TYPE_MAX_LENGTH")
	}
	if n, ok := b.Nonce.(string); ok && runes(n) > 25 {
		return nil, invalidForm("nonce", "NONCE_TYPE_TOO_LONG")
	}
	if b.Embeds != nil {
		if refused := s.checkEmbeds(q, *b.Embeds); refused != nil {
			return nil, refused
		}
	}
	if b.Components != nil {
		if refused := checkRows(*b.Components); refused != nil {
			return nil, refused
		}
	}
	if b.Attachments != nil {
		if len(*b.Attachments) > 10 {
			return nil, invalidForm("attachments", "BASE_TYPE_MAX_LENGTH")
		}
		for i, a := range *b.Attachments {
			if runes(a.Description) > 1024 {
				return nil, invalidForm(fmt.Sprintf("attachments.%d.description", i), "BASE_TYPE_MAX_LENGTH")
			}
		}
	}
	for _, f := range q.files {
		if len(f.data) > 10<<20 {
			return nil, &refusal{413, 40005, "Request entity too large", ""}
		}
	}
	return &b, nil
}

func compact(raw json.RawMessage) []byte {
	return []byte(strings.Join(strings.Fields(string(raw)), ""))
}

func (s *Server) checkEmbeds(q *request, embeds []embed) *refusal {
	if len(embeds) > 10 {
		return invalidForm("embeds", "BASE_TYPE_MAX_LENGTH")
	}
	total := 0
	for i, e := range embeds {
		at := func(field string) string { return fmt.Sprintf("embeds.%d.%s", i, field) }
		type text struct {
			field string
			text  string
			most  int
		}
		texts := []text{{"title", e.Title, 256}, {"description", e.Description, 4096}}
		if e.Footer != nil {
			texts = append(texts, text{"footer.text", e.Footer.Text, 2048})
		}
		if e.Author != nil {
			texts = append(texts, text{"author.name", e.Author.Name, 256})
		}
		if len(e.Fields) > 25 {
			return invalidForm(at("fields"), "BASE_TYPE_MAX_LENGTH")
		}
		for j, f := range e.Fields {
			for _, t := range []text{{fmt.Sprintf("fields.%d.name", j), f.Name, 256}, {fmt.Sprintf("fields.%d.value", j), f.Value, 1024}} {
				if strings.TrimSpace(t.text) == "" {
					return invalidForm(at(t.field), "BASE_TYPE_REQUIRED")
				}
				texts = append(texts, t)
			}
		}
		for _, t := range texts {
			n := runes(t.text)
			if n > t.most {
				return invalidForm(at(t.field), "BASE_TYPE_MAX_LENGTH")
			}
			total += n
		}
		for field, u := range map[string]string{"url": e.URL, "image.url": imageURL(e.Image), "thumbnail.url": imageURL(e.Thumbnail)} {
			if refused := s.checkURL(q, at(field), u); refused != nil {
				return refused
			}
		}
		if e.Color < 0 || e.Color > 0xffffff {
			return invalidForm(at("color"), "NUMBER_TYPE_MAX")
		}
	}
	if total > 6000 {
		return invalidForm("embeds", "MAX_EMBED_SIZE_EXCEEDED")
	}
	return nil
}

func imageURL(i *embedImage) string {
	if i == nil {
		return ""
	}
	return i.URL
}

func (s *Server) checkURL(q *request, field, text string) *refusal {
	if text == "" {
		return nil
	}
	if runes(text) > 2048 {
		return invalidForm(field, "BASE_TYPE_MAX_LENGTH")
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return invalidForm(field, "URL_TYPE_INVALID_URL")
	}
	switch u.Scheme {
	case "http", "https":
	case "attachment":
		for _, f := range q.files {
			if f.name == u.Host {
				return nil
			}
		}
		s.breach("%s %s: %s names %q, which is not among the files", q.Method, q.Path, field, text)
	default:
		return invalidForm(field, "URL_TYPE_INVALID_SCHEME")
	}
	return nil
}

func checkRows(rows []row) *refusal {
	if len(rows) > 5 {
		return invalidForm("components", "BASE_TYPE_MAX_LENGTH")
	}
	ids := map[string]bool{}
	for i, r := range rows {
		if r.Type != 1 {
			return invalidForm(fmt.Sprintf("components.%d.type", i), "BASE_TYPE_CHOICES")
		}
		if len(r.Components) < 1 || len(r.Components) > 5 {
			return invalidForm(fmt.Sprintf("components.%d.components", i), "BASE_TYPE_BAD_LENGTH")
		}
		for j, b := range r.Components {
			at := func(field string) string { return fmt.Sprintf("components.%d.components.%d.%s", i, j, field) }
			switch {
			case b.Type != 2:
				return invalidForm(at("type"), "BASE_TYPE_CHOICES")
			case runes(b.Label) > 80:
				return invalidForm(at("label"), "BASE_TYPE_MAX_LENGTH")
			case strings.TrimSpace(b.Label) == "" && b.Emoji == nil:
				return invalidForm(at("label"), "BUTTON_COMPONENT_LABEL_OR_EMOJI_REQUIRED")
			case b.Style == 5 && b.URL == "":
				return invalidForm(at("url"), "BASE_TYPE_REQUIRED")
			case b.Style == 5:
			case b.Style < 1 || b.Style > 4:
				return invalidForm(at("style"), "BASE_TYPE_CHOICES")
			case b.CustomID == "":
				return invalidForm(at("custom_id"), "BASE_TYPE_REQUIRED")
			case runes(b.CustomID) > 100:
				return invalidForm(at("custom_id"), "BASE_TYPE_MAX_LENGTH")
			case ids[b.CustomID]:
				return invalidForm(at("custom_id"), "COMPONENT_CUSTOM_ID_DUPLICATED")
			}
			ids[b.CustomID] = true
		}
	}
	return nil
}

// runes is the length of a text as Discord measures it: after trimming.
func runes(s string) int { return utf8.RuneCountInString(strings.TrimSpace(s)) }

// apply changes m to what b says. What b leaves out stays; files stay only if
// attachments is left out.
func (m *message) apply(q *request, b *body) *refusal {
	next := *m
	if b.Content != nil {
		next.content = *b.Content
	}
	if b.Embeds != nil {
		next.embeds = *b.Embeds
	}
	if b.Components != nil {
		next.rows = *b.Components
	}
	if b.Attachments != nil {
		next.files = nil
		for _, a := range *b.Attachments {
			id := strings.Trim(string(a.ID), `"`)
			f, ok := q.files[id]
			if !ok {
				return invalidForm("attachments", "ATTACHMENT_NOT_FOUND")
			}
			next.files = append(next.files, attached{f.name, a.Description, f.data})
		}
	}
	empty := strings.TrimSpace(next.content) == "" && len(next.files) == 0 && len(next.rows) == 0
	for _, e := range next.embeds {
		empty = empty && strings.TrimSpace(e.Title+e.Description) == "" && e.Footer == nil && e.Image == nil && len(e.Fields) == 0
	}
	if empty {
		return &refusal{400, 50006, "Cannot send an empty message", ""}
	}
	*m = next
	return nil
}

func (s *Server) json(m *message) map[string]any {
	author := map[string]any{"id": m.author, "username": "person"}
	if m.author == BotID {
		author = botUser()
	}
	if m.bot {
		author["bot"] = true
	}
	out := map[string]any{
		"id": m.id, "channel_id": m.channel, "type": 0, "content": m.content, "author": author,
		"timestamp": s.now().UTC().Format(time.RFC3339Nano), "edited_timestamp": nil, "tts": false, "mention_everyone": false,
		"mentions": []any{}, "mention_roles": []any{}, "attachments": []any{}, "embeds": m.embeds, "pinned": false,
	}
	if m.embeds == nil {
		out["embeds"] = []any{}
	}
	if m.rows == nil {
		out["components"] = []any{}
	} else {
		out["components"] = m.rows
	}
	if m.reply != "" {
		out["type"] = 19
		out["message_reference"] = map[string]any{"message_id": m.reply, "channel_id": m.channel}
	}
	if m.webhook {
		out["webhook_id"] = ApplicationID
	}
	return out
}

// writable is a channel that the bot may write in.
func (s *Server) writable(id string) (*Channel, *refusal) {
	c, refused := s.visible(id)
	switch {
	case refused != nil:
		return nil, refused
	case c.ReadOnly:
		return nil, missingPermissions
	case c.Type == ForumChannel:
		return nil, &refusal{400, 50008, "Cannot send messages in a non-text channel", ""}
	case c.Locked && c.Archived:
		return nil, &refusal{400, 50083, "Thread is archived", ""}
	case c.Locked:
		return nil, &refusal{403, 160005, "Thread is locked", ""}
	}
	return c, nil
}

func (s *Server) find(channel, id string) *message {
	for _, m := range s.messages[channel] {
		if m.id == id {
			return m
		}
	}
	return nil
}

func (s *Server) createMessage(q *request, channel string) (int, any, *refusal) {
	c, refused := s.writable(channel)
	if refused != nil {
		return 0, nil, refused
	}
	b, refused := s.readBody(q)
	if refused != nil {
		return 0, nil, refused
	}
	nonce, _ := b.Nonce.(string)
	if b.EnforceNonce && nonce != "" {
		// "If another message was created by the same author with the same
		// nonce, that message will be returned and no new message will be
		// created." Across channels; the window is not published.
		if use, ok := s.nonces[nonce]; ok && s.now().Sub(use.at) < s.nonceWindow {
			if s.find(use.message.channel, use.message.id) == nil {
				return 0, nil, unknownMessage
			}
			return 200, s.json(use.message), nil
		}
	}
	m := &message{id: s.snowflake(), channel: channel, author: BotID, nonce: nonce, silent: b.Flags&flagSilent != 0}
	if r := b.Reference; r != nil {
		there := r.ChannelID == "" || r.ChannelID == channel
		switch {
		case c.NoHistory:
			return 0, nil, &refusal{400, 160002, "Cannot reply without permission to read message history", ""}
		case there && s.find(channel, r.MessageID) != nil:
			m.reply = r.MessageID
		case r.FailIfNotExists == nil || *r.FailIfNotExists:
			return 0, nil, invalidForm("message_reference", "REPLIES_UNKNOWN_MESSAGE")
		}
	}
	if refused := m.apply(q, b); refused != nil {
		return 0, nil, refused
	}
	c.Archived = false
	s.messages[channel] = append(s.messages[channel], m)
	if nonce != "" {
		s.nonces[nonce] = nonceUse{m, s.now()}
	}
	s.dispatchMessage(m, c)
	out := s.json(m)
	out["nonce"] = nonce
	return 200, out, nil
}

func (s *Server) editMessage(q *request, channel, id string) (int, any, *refusal) {
	c, refused := s.visible(channel)
	if refused != nil {
		return 0, nil, refused
	}
	m := s.find(channel, id)
	switch {
	case m == nil:
		return 0, nil, unknownMessage
	case m.author != BotID:
		return 0, nil, &refusal{403, 50005, "Cannot edit a message authored by another user", ""}
	case c.Archived:
		return 0, nil, &refusal{400, 50083, "Thread is archived", ""}
	}
	b, refused := s.readBody(q)
	if refused != nil {
		return 0, nil, refused
	}
	if refused := m.apply(q, b); refused != nil {
		return 0, nil, refused
	}
	m.edits, m.waiting = m.edits+1, false
	return 200, s.json(m), nil
}

func (s *Server) deleteMessage(channel, id string) (int, any, *refusal) {
	if _, refused := s.visible(channel); refused != nil {
		return 0, nil, refused
	}
	if s.find(channel, id) == nil {
		return 0, nil, unknownMessage
	}
	s.drop(channel, id)
	return 204, nil, nil
}

func (s *Server) drop(channel, id string) {
	s.messages[channel] = slices.DeleteFunc(s.messages[channel], func(m *message) bool { return m.id == id })
}

// DeleteMessage removes a message, as a moderator may.
func (s *Server) DeleteMessage(channel, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(channel, id)
}

func (s *Server) createThread(q *request, channel, id string) (int, any, *refusal) {
	c, refused := s.visible(channel)
	switch {
	case refused != nil:
		return 0, nil, refused
	case c.Type != TextChannel:
		return 0, nil, &refusal{400, 50024, "Cannot execute action on this channel type", ""}
	case c.NoThreads:
		return 0, nil, missingPermissions
	case s.find(channel, id) == nil:
		return 0, nil, unknownMessage
	case s.channels[id] != nil:
		return 0, nil, &refusal{400, 160004, "A thread has already been created for this message", ""}
	}
	var b struct {
		Name    string `json:"name"`
		Archive int    `json:"auto_archive_duration"`
	}
	if err := json.Unmarshal(q.Body, &b); err != nil {
		return 0, nil, invalidForm("_", "BASE_TYPE_BAD")
	}
	if n := runes(b.Name); n < 1 || n > 100 {
		return 0, nil, invalidForm("name", "BASE_TYPE_BAD_LENGTH")
	}
	if !slices.Contains([]int{0, 60, 1440, 4320, 10080}, b.Archive) {
		return 0, nil, invalidForm("auto_archive_duration", "BASE_TYPE_CHOICES")
	}
	t := &Channel{ID: id, Guild: c.Guild, Parent: channel, Name: b.Name, Type: PublicThread}
	s.channels[id] = t
	s.dispatch("THREAD_CREATE", t.json(), intentGuilds)
	return 201, t.json(), nil
}

// Threads are the threads opened under channel's messages, by name.
func (s *Server) Threads(channel string) []Channel {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Channel
	for _, c := range s.channels {
		if c.Parent == channel {
			all = append(all, *c)
		}
	}
	slices.SortFunc(all, func(a, b Channel) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// Channels are the IDs of all channels and threads.
func (s *Server) Channels() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.channels))
}

// Channel is a channel or thread as it is, and whether there is one.
func (s *Server) Channel(id string) (Channel, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.channels[id]
	if c == nil {
		return Channel{}, false
	}
	return *c, true
}

// Shown is a message as a person sees it.
type Shown struct {
	ID      string
	Author  string // BotID, or a person's ID
	Title   string
	URL     string // behind the title
	Text    string // what is read, markup done: the content, then the description
	Footer  string
	Colour  int
	Links   []Link   // in Text, in order
	Bold    []string // in Text, in order
	Mono    []string // blocks in a fixed-width face
	Wild    []string // every other kind of markup found, such as "italic" or "mention"
	Buttons [][]Button
	Image   []byte // in the card; nil for none
	Alt     string
	Silent  bool
	Edits   int
	Answers string // the message it is an answer to
	Waiting bool   // "… is thinking"
	Nonce   string
}

// Link is a run of text with an address behind it.
type Link struct{ Text, URL string }

// Button is one that a person can press.
type Button struct{ Label, ID string }

// Shown are the messages of a channel or thread, in the order in which they
// were posted.
func (s *Server) Shown(channel string) []Shown {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Shown
	for _, m := range s.messages[channel] {
		all = append(all, m.shown())
	}
	return all
}

func (m *message) shown() Shown {
	v := Shown{ID: m.id, Author: m.author, Silent: m.silent, Edits: m.edits, Answers: m.reply, Waiting: m.waiting, Nonce: m.nonce}
	var text []string
	see := func(source string, links bool) string {
		r := Render(source, links)
		v.Links = append(v.Links, r.Links...)
		v.Bold = append(v.Bold, r.Bold...)
		v.Mono = append(v.Mono, r.Mono...)
		v.Wild = append(v.Wild, r.Wild...)
		return r.Text
	}
	if m.content != "" {
		text = append(text, see(m.content, true))
	}
	for _, e := range m.embeds {
		if e.Title != "" {
			v.Title, v.URL = see(e.Title, false), e.URL
		}
		if e.Description != "" {
			text = append(text, see(e.Description, true))
		}
		for _, f := range e.Fields {
			text = append(text, see(f.Name, false), see(f.Value, true))
		}
		if e.Footer != nil {
			v.Footer = e.Footer.Text // no markup there
		}
		v.Colour = e.Color
		for _, f := range m.files {
			if imageURL(e.Image) == "attachment://"+f.name {
				v.Image, v.Alt = f.data, f.alt
			}
		}
	}
	v.Text = strings.Join(text, "\n")
	for _, r := range m.rows {
		var bs []Button
		for _, b := range r.Components {
			bs = append(bs, Button{b.Label, b.CustomID})
		}
		v.Buttons = append(v.Buttons, bs)
	}
	return v
}
