package telegramtest

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// refusal is an answer of the API's that is not ok.
type refusal struct {
	code    int
	text    string
	wait    int   // retry_after
	movedTo int64 // migrate_to_chat_id
}

func bad(format string, args ...any) *refusal {
	return &refusal{code: 400, text: "Bad Request: " + fmt.Sprintf(format, args...)}
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	defer r.Body.Close()
	rest, ok := strings.CutPrefix(r.URL.Path, "/bot")
	given, method, slash := strings.Cut(rest, "/")
	if !ok || !slash {
		refuse(w, &refusal{code: 404, text: "Not Found"})
		return
	}
	if err := r.ParseMultipartForm(64 << 20); err != nil && !errors.Is(err, http.ErrNotMultipart) {
		refuse(w, bad("%v", err))
		return
	}
	s.mu.Lock()
	s.calls[method]++
	s.requests = append(s.requests, record(method, r))
	revoked := s.revoked || given != token
	s.mu.Unlock()
	if revoked {
		refuse(w, &refusal{code: 401, text: "Unauthorized"})
		return
	}
	var result any
	var no *refusal
	drop, half := false, false
	switch method {
	case "getMe":
		result = map[string]any{"id": BotID, "is_bot": true, "first_name": "Chokepoint", "username": BotName}
	case "getUpdates":
		result, no = s.getUpdates(r)
	case "sendMessage", "sendPhoto", "editMessageText", "editMessageCaption", "editMessageMedia", "editMessageReplyMarkup", "createForumTopic":
		f := s.failing(r)
		if f.refusal != nil {
			refuse(w, f.refusal)
			return
		}
		if f.page {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusBadGateway)
			_, _ = io.WriteString(w, "<html><body><h1>502 Bad Gateway</h1></body></html>")
			return
		}
		if f.cut {
			panic(http.ErrAbortHandler)
		}
		drop, half = f.drop, f.half
		s.mu.Lock()
		switch method {
		case "sendMessage", "sendPhoto":
			result, no = s.post(r, method == "sendPhoto")
		case "createForumTopic":
			result, no = s.openTopic(r)
		default:
			result, no = s.edit(r, method)
		}
		s.change()
		s.mu.Unlock()
	case "answerCallbackQuery":
		s.mu.Lock()
		if _, is := s.pressed[r.FormValue("callback_query_id")]; is {
			s.pressed[r.FormValue("callback_query_id")] = true
			result = true
		} else {
			no = bad("query is too old and response timeout expired or query ID is invalid")
		}
		s.change()
		s.mu.Unlock()
	case "getChatMember":
		s.mu.Lock()
		result, no = s.member(r)
		s.mu.Unlock()
	case "sendChatAction":
		s.mu.Lock()
		_, no = s.target(r)
		result = true
		s.mu.Unlock()
	case "getChatAdministrators":
		s.mu.Lock()
		result, no = s.administrators(r)
		s.mu.Unlock()
	case "deleteWebhook":
		s.SetWebhook("")
		result = true
	case "getMyCommands", "setMyCommands":
		s.mu.Lock()
		result, no = s.commands(r, method == "setMyCommands")
		s.mu.Unlock()
	default:
		no = &refusal{code: 404, text: "Not Found: method not found"}
	}
	switch {
	case drop:
		panic(http.ErrAbortHandler) // the connection ends without an answer
	case half:
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, `{"ok":true,"result":{"message_id":`)
		panic(http.ErrAbortHandler)
	case no != nil:
		refuse(w, no)
	default:
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"ok": true, "result": result})
	}
}

func record(method string, r *http.Request) Request {
	q := Request{Method: method, Params: r.Form}
	if r.MultipartForm != nil {
		q.Files = slices.Collect(maps.Keys(r.MultipartForm.File))
	}
	return q
}

func refuse(w http.ResponseWriter, no *refusal) {
	body := map[string]any{"ok": false, "error_code": no.code, "description": no.text}
	if no.wait > 0 {
		body["parameters"] = map[string]any{"retry_after": no.wait}
		w.Header().Set("Retry-After", strconv.Itoa(no.wait))
	}
	if no.movedTo != 0 {
		body["parameters"] = map[string]any{"migrate_to_chat_id": no.movedTo}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(no.code)
	_ = json.NewEncoder(w).Encode(body)
}

// target is the chat that a request is for; s.mu is held.
func (s *Server) target(r *http.Request) (*chat, *refusal) {
	id, err := strconv.ParseInt(r.FormValue("chat_id"), 10, 64)
	c := s.chats[id]
	switch {
	case err != nil || c == nil:
		return nil, bad("chat not found")
	case c.movedTo != 0:
		return nil, &refusal{code: 400, text: "Bad Request: group chat was upgraded to a supergroup chat", movedTo: c.movedTo}
	case c.refuses != "":
		code := 400
		if strings.HasPrefix(c.refuses, "Forbidden") {
			code = 403
		}
		return nil, &refusal{code: code, text: c.refuses}
	}
	return c, nil
}

// read is a text as people see it; empty is what Telegram says if there is none,
// "" if there need not be.
func read(raw, mode string, most int, empty, tooLong string) (seen, *refusal) {
	v := seen{text: strings.TrimSpace(raw), mentions: mentions(raw, nil)}
	switch mode {
	case "":
	case "HTML":
		var err error
		if v, err = parse(raw); err != nil {
			return v, bad("can't parse entities: %v", err)
		}
	default:
		return v, bad("unsupported parse_mode")
	}
	switch {
	case !utf8.ValidString(raw):
		return v, bad("strings must be encoded in UTF-8")
	case v.text == "" && empty != "":
		return v, bad("%s", empty)
	case len(raw) > 32<<10:
		return v, bad("text is too long")
	case utf8.RuneCountInString(v.text) > most:
		return v, bad("%s", tooLong)
	}
	return v, nil
}

// buttons are a request's inline keyboard.
func buttons(r *http.Request) ([][]Button, *refusal) {
	raw := r.FormValue("reply_markup")
	if raw == "" {
		return nil, nil
	}
	var k struct {
		Rows *[][]Button `json:"inline_keyboard"`
	}
	if err := json.Unmarshal([]byte(raw), &k); err != nil || k.Rows == nil {
		return nil, bad("can't parse reply keyboard markup JSON object")
	}
	n := 0
	for _, row := range *k.Rows {
		for _, b := range row {
			if n++; n > 100 || len(row) > 8 {
				return nil, bad("reply markup is too long")
			}
			if b.Text == "" {
				return nil, bad("can't parse inline keyboard button: field \"text\" must be non-empty")
			}
			if len(b.Data) < 1 || len(b.Data) > 64 {
				return nil, bad("BUTTON_DATA_INVALID")
			}
		}
	}
	return *k.Rows, nil
}

// previews says whether a request lets a link be shown at large.
func previews(r *http.Request) bool {
	var o struct {
		Off bool `json:"is_disabled"`
	}
	_ = json.Unmarshal([]byte(r.FormValue("link_preview_options")), &o)
	return !o.Off
}

// post is sendMessage and sendPhoto; s.mu is held.
func (s *Server) post(r *http.Request, photo bool) (any, *refusal) {
	c, no := s.target(r)
	if no != nil {
		return nil, no
	}
	m := &Message{Chat: c.id, Silent: r.FormValue("disable_notification") == "true"}
	var v seen
	if photo {
		v, no = read(r.FormValue("caption"), r.FormValue("parse_mode"), 1024, "", "message caption is too long")
		m.HasPhoto = true
		var refused *refusal
		if m.Photo, refused = s.photo(r, "photo", r.FormValue("photo")); refused != nil {
			return nil, refused
		}
	} else {
		v, no = read(r.FormValue("text"), r.FormValue("parse_mode"), 4096, "message text is empty", "message is too long")
		m.Preview = previews(r) && len(v.links) > 0
	}
	if no != nil {
		return nil, no
	}
	if m.Buttons, no = buttons(r); no != nil {
		return nil, no
	}
	if raw := r.FormValue("message_thread_id"); raw != "" && c.kind == Forum {
		topic, _ := strconv.ParseInt(raw, 10, 64)
		open, is := c.topics[topic]
		if !is || topic == 1 {
			return nil, bad("message thread not found")
		}
		if !open && !c.manages {
			return nil, bad("TOPIC_CLOSED")
		}
		m.Thread = topic
	}
	if raw := r.FormValue("reply_parameters"); raw != "" {
		var p struct {
			Message int64 `json:"message_id"`
			Anyway  bool  `json:"allow_sending_without_reply"`
		}
		if err := json.Unmarshal([]byte(raw), &p); err != nil {
			return nil, bad("can't parse reply parameters JSON object")
		}
		_, said := c.said[p.Message]
		switch {
		case said || s.find(c.id, p.Message) != nil:
			m.ReplyTo = p.Message
		case !p.Anyway:
			return nil, bad("message to be replied not found")
		}
	}
	if no := s.paced(c); no != nil {
		return nil, no
	}
	m.Text, m.Links, m.Mentions = v.text, v.links, v.mentions
	s.lastID++
	m.ID = s.lastID
	s.shown = append(s.shown, m)
	return m.json(c), nil
}

// openTopic is createForumTopic; s.mu is held. It counts like a message.
func (s *Server) openTopic(r *http.Request) (any, *refusal) {
	c, no := s.target(r)
	if no != nil {
		return nil, no
	}
	name := r.FormValue("name")
	switch n := utf8.RuneCountInString(name); {
	case c.kind != Forum:
		return nil, bad("the chat is not a forum")
	case !c.manages:
		return nil, bad("not enough rights to create a topic")
	case n < 1 || n > 128:
		return nil, bad("TOPIC_NAME_INVALID")
	}
	if no := s.paced(c); no != nil {
		return nil, no
	}
	s.lastID++
	c.topics[s.lastID] = true
	return map[string]any{"message_thread_id": s.lastID, "name": name, "icon_color": 7322096}, nil
}

// photo is an upload in a part of a request, or an earlier one by its file_id.
func (s *Server) photo(r *http.Request, part, id string) ([]byte, *refusal) {
	if id == "" || strings.HasPrefix(id, "attach://") {
		photo, no := upload(r, part)
		if no == nil {
			s.photos[fileID(photo)] = photo
		}
		return photo, no
	}
	photo, known := s.photos[id]
	if !known {
		return nil, bad("wrong file identifier/HTTP URL specified")
	}
	return photo, nil
}

// fileID names a photo to this bot.
func fileID(photo []byte) string { return fmt.Sprintf("AgACAgQ%x", sha256.Sum256(photo)) }

// paced counts a send or an edit in a chat, or refuses it: Telegram publishes
// one a second in a chat, 20 a minute in a group, and 30 a second in all, and
// lets short bursts pass, here five in five seconds.
// https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this
func (s *Server) paced(c *chat) *refusal {
	if s.now == nil {
		return nil
	}
	now := s.now()
	wait := time.Duration(0)
	for _, l := range []struct {
		of   int64
		n    int
		span time.Duration
		all  bool
	}{{0, 30, time.Second, true}, {c.id, 5, 5 * time.Second, true}, {c.id, 20, time.Minute, c.kind != Private}} {
		if past := s.paces[l.of]; l.all && len(past) >= l.n {
			wait = max(wait, past[len(past)-l.n].Add(l.span).Sub(now))
		}
	}
	if wait > 0 {
		seconds := int((wait + time.Second - 1) / time.Second)
		return &refusal{code: 429, text: fmt.Sprintf("Too Many Requests: retry after %d", seconds), wait: seconds}
	}
	s.paces[0], s.paces[c.id] = append(s.paces[0], now), append(s.paces[c.id], now)
	return nil
}

// upload is the photo in a part of a request.
func upload(r *http.Request, part string) ([]byte, *refusal) {
	file, _, err := r.FormFile(part)
	if err != nil {
		return nil, bad("there is no photo in the request")
	}
	defer file.Close()
	photo, err := io.ReadAll(file)
	if err != nil || len(photo) > 10<<20 {
		return nil, &refusal{code: 413, text: "Request Entity Too Large"}
	}
	if !strings.HasPrefix(string(photo), "\x89PNG") {
		return nil, bad("IMAGE_PROCESS_FAILED")
	}
	return photo, nil
}

// edit is editMessageText, editMessageCaption and editMessageMedia; s.mu is
// held.
func (s *Server) edit(r *http.Request, method string) (any, *refusal) {
	c, no := s.target(r)
	if no != nil {
		return nil, no
	}
	id, _ := strconv.ParseInt(r.FormValue("message_id"), 10, 64)
	m := s.find(c.id, id)
	var v seen
	var photo []byte
	switch {
	case m == nil:
		return nil, bad("message to edit not found")
	case method == "editMessageMedia":
		var media struct {
			Type, Media, Caption string
			Mode                 string `json:"parse_mode"`
		}
		if err := json.Unmarshal([]byte(r.FormValue("media")), &media); err != nil || media.Media == "" || media.Type != "photo" {
			return nil, bad("can't parse InputMedia")
		}
		if photo, no = s.photo(r, strings.TrimPrefix(media.Media, "attach://"), media.Media); no == nil {
			v, no = read(media.Caption, media.Mode, 1024, "", "message caption is too long")
		}
	case method == "editMessageReplyMarkup":
		v = seen{m.Text, m.Links, m.Mentions}
	case method == "editMessageCaption" && !m.HasPhoto:
		return nil, bad("there is no caption in the message to edit")
	case method == "editMessageCaption":
		v, no = read(r.FormValue("caption"), r.FormValue("parse_mode"), 1024, "", "message caption is too long")
	case m.HasPhoto:
		return nil, bad("there is no text in the message to edit")
	default:
		v, no = read(r.FormValue("text"), r.FormValue("parse_mode"), 4096, "message text is empty", "message is too long")
	}
	if no != nil {
		return nil, no
	}
	keys, no := buttons(r)
	if no != nil {
		return nil, no
	}
	if (photo == nil || bytes.Equal(photo, m.Photo)) && v.text == m.Text && slices.Equal(v.links, m.Links) && slices.EqualFunc(keys, m.Buttons, slices.Equal[[]Button]) {
		return nil, bad("message is not modified: specified new message content and reply markup are exactly the same as a current content and reply markup of the message")
	}
	if no := s.paced(c); no != nil {
		return nil, no
	}
	m.Was = append(m.Was, m.Text)
	m.Text, m.Links, m.Mentions, m.Buttons = v.text, v.links, v.mentions, keys
	m.Edits++
	if photo != nil {
		m.HasPhoto, m.Photo = true, photo
	}
	return m.json(c), nil
}

func (s *Server) find(chat, message int64) *Message {
	for _, m := range s.shown {
		if m.Chat == chat && m.ID == message {
			return m
		}
	}
	return nil
}

func (m *Message) json(c *chat) map[string]any {
	j := map[string]any{
		"message_id": m.ID, "date": time.Now().Unix(), "chat": c.json(),
		"from": map[string]any{"id": BotID, "is_bot": true, "username": BotName},
	}
	if m.HasPhoto {
		j["caption"] = m.Text
		// The smallest size comes first. https://core.telegram.org/bots/api#photosize
		j["photo"] = []any{
			map[string]any{"file_id": "thumb-" + fileID(m.Photo)[:12], "file_unique_id": "a", "width": 90, "height": 60},
			map[string]any{"file_id": fileID(m.Photo), "file_unique_id": "b", "width": 900, "height": 600},
		}
	} else {
		j["text"] = m.Text
	}
	if m.Thread != 0 {
		j["message_thread_id"], j["is_topic_message"] = m.Thread, true
	}
	return j
}

// member is getChatMember; s.mu is held.
func (s *Server) member(r *http.Request) (any, *refusal) {
	c, no := s.target(r)
	if no != nil {
		return nil, no
	}
	if c.hidden {
		return nil, bad("member list is inaccessible")
	}
	user, _ := strconv.ParseInt(r.FormValue("user_id"), 10, 64)
	status := "member"
	if c.admins[user] {
		status = "administrator"
	}
	return map[string]any{"status": status, "user": map[string]any{"id": user}}, nil
}

// administrators is getChatAdministrators; s.mu is held.
func (s *Server) administrators(r *http.Request) (any, *refusal) {
	c, no := s.target(r)
	if no != nil {
		return nil, no
	}
	all := []any{}
	for user, is := range c.admins {
		if is {
			all = append(all, map[string]any{"status": "administrator", "user": map[string]any{"id": user}})
		}
	}
	return all, nil
}

// scopes are those that are not of a single chat.
// https://core.telegram.org/bots/api#botcommandscope
var scopes = []string{"default", "all_private_chats", "all_group_chats", "all_chat_administrators"}

// commands is getMyCommands and setMyCommands; s.mu is held.
func (s *Server) commands(r *http.Request, set bool) (any, *refusal) {
	code := r.FormValue("language_code")
	if code != "" && len(code) != 2 {
		return nil, bad("invalid language code specified")
	}
	scope := struct{ Type string }{"default"}
	if raw := r.FormValue("scope"); raw != "" {
		if err := json.Unmarshal([]byte(raw), &scope); err != nil || !slices.Contains(scopes, scope.Type) {
			return nil, bad("can't parse BotCommandScope")
		}
	}
	of := menu{scope.Type, code}
	if !set {
		if raw := s.menus[of]; raw != nil {
			return raw, nil
		}
		return []any{}, nil
	}
	var list []struct{ Command, Description string }
	raw := r.FormValue("commands")
	if err := json.Unmarshal([]byte(raw), &list); err != nil || len(list) > 100 {
		return nil, bad("can't parse commands")
	}
	for _, e := range list {
		if n := len(e.Command); n < 1 || n > 32 || strings.Trim(e.Command, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
			return nil, bad("BOT_COMMAND_INVALID")
		}
		if n := utf8.RuneCountInString(e.Description); n < 1 || n > 256 {
			return nil, bad("BOT_COMMAND_DESCRIPTION_INVALID")
		}
	}
	s.menus[of] = json.RawMessage(raw)
	return true, nil
}
