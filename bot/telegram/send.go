package telegram

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	tgbotapi "github.com/go-telegram-bot-api/telegram-bot-api/v5"

	"github.com/chokepoint-bot/chokepoint/bot"
	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

const (
	sendWithin   = 30 * time.Second
	uploadWithin = 90 * time.Second
)

// Send shows m at to, as one message: a picture's text is its caption. An edit
// changes the text, the buttons, and the picture if m has one; Telegram cannot
// take a picture away. The key is of no use: Telegram drops no repeats.
func (a *Adapter) Send(ctx context.Context, to bot.Target, m bot.Message, _ string) (bot.Posted, error) {
	p, err := a.send(ctx, to, m)
	if err != nil {
		return bot.Posted{}, a.sendError(err)
	}
	return p, nil
}

// Reply answers in: in a group it is tied to what was said or pressed.
func (a *Adapter) Reply(ctx context.Context, in bot.Inbound, m bot.Message) error {
	to := bot.Target{Chat: in.Chat, Thread: in.Thread}
	if id, ok := in.ReplyTo.(int64); ok && in.Group {
		to.Answer = strconv.FormatInt(id, 10)
	}
	_, err := a.Send(ctx, to, m, "")
	return err
}

// errTooLong and errTooBig are messages that cannot be shown as they are.
var (
	errTooLong = errors.New("telegram: the text is too long")
	errTooBig  = errors.New("telegram: the picture is too big")
)

// errNoChat is an ID that is no chat's.
var errNoChat = errors.New("telegram: not a chat's number")

// errNoMessage is an ID that is no message's.
var errNoMessage = errors.New("telegram: not a message's number")

func (a *Adapter) send(ctx context.Context, to bot.Target, m bot.Message) (bot.Posted, error) {
	chat, topic, err := parseChat(to.Chat)
	if err != nil {
		return bot.Posted{}, err
	}
	if to.Thread != "" {
		topic = to.Thread
	}
	if n := measure(m); n > textMost {
		return bot.Posted{}, fmt.Errorf("%w: %d of %d units", errTooLong, n, textMost)
	}
	if len(m.Image) > imageMost {
		return bot.Posted{}, fmt.Errorf("%w: %d bytes", errTooBig, len(m.Image))
	}
	if to.Edit != "" {
		return bot.Posted{Message: to.Edit}, a.edit(ctx, chat, to.Edit, m)
	}
	p := posting{chat: chat, topic: topic, answer: to.Answer, silent: m.Silent, photo: m.Image, actions: m.Actions}
	return a.post(ctx, p, compose(m))
}

// posting is a new message but for its text.
type posting struct {
	chat    int64
	topic   string // message_thread_id; "" for none
	answer  string // message_id answered; "" for none
	silent  bool
	photo   []byte // none if empty
	actions []bot.Action
}

// post sends a new message. If its topic is closed or gone it goes to the chat
// itself; if Telegram cannot read the markup it goes without.
func (a *Adapter) post(ctx context.Context, p posting, t text) (bot.Posted, error) {
	method, field, within := "sendMessage", "text", sendWithin
	params := tgbotapi.Params{"chat_id": strconv.FormatInt(p.chat, 10)}
	if len(p.photo) > 0 {
		method, field, within = "sendPhoto", "caption", uploadWithin
	} else {
		t = t.orEllipsis()
		params["link_preview_options"] = noPreview
	}
	if p.topic != general {
		params.AddNonEmpty("message_thread_id", p.topic)
	}
	if id, err := strconv.ParseInt(p.answer, 10, 64); err == nil {
		params["reply_parameters"] = fmt.Sprintf(`{"message_id":%d,"allow_sending_without_reply":true}`, id)
	}
	params.AddBool("disable_notification", p.silent)
	if len(p.actions) > 0 {
		params["reply_markup"] = keyboard(p.actions)
	}

	var posted bot.Posted
	for {
		var sent struct {
			ID int64 `json:"message_id"`
		}
		err := a.marked(ctx, method, field, within, params, t, p.photo, &sent)
		if params["message_thread_id"] != "" && noTopic(err) {
			delete(params, "message_thread_id")
			posted.Elsewhere = true
			continue
		}
		posted.Message = strconv.FormatInt(sent.ID, 10)
		return posted, err
	}
}

// edit changes a message of ours, which may have a picture.
func (a *Adapter) edit(ctx context.Context, chat int64, message string, m bot.Message) error {
	if _, err := strconv.ParseInt(message, 10, 64); err != nil {
		return fmt.Errorf("%w: %q", errNoMessage, message)
	}
	t := compose(m)
	params := tgbotapi.Params{"chat_id": strconv.FormatInt(chat, 10), "message_id": message, "reply_markup": keyboard(m.Actions)}
	var err error
	if len(m.Image) > 0 {
		err = a.replace(ctx, params, t, m.Image)
	} else {
		params["link_preview_options"] = noPreview
		err = a.marked(ctx, "editMessageText", "text", sendWithin, params, t.orEllipsis(), nil, nil)
		if said(err, "there is no text in the message to edit") {
			if units(t.plain) > captionMost {
				// As if it were gone, so that it is shown anew.
				return fmt.Errorf("%w of so long a text", errNoMessage)
			}
			delete(params, "link_preview_options")
			delete(params, "text")
			err = a.marked(ctx, "editMessageCaption", "caption", sendWithin, params, t, nil, nil)
		}
	}
	if said(err, "message is not modified") {
		return nil
	}
	return err
}

// replace puts a picture, with its caption, in the place of a message's text or
// picture. https://core.telegram.org/bots/api#inputmediaphoto
func (a *Adapter) replace(ctx context.Context, params tgbotapi.Params, t text, photo []byte) error {
	with := func(caption, mode string) error {
		media, err := json.Marshal(map[string]string{"type": "photo", "media": "attach://photo", "caption": caption, "parse_mode": mode})
		if err != nil {
			return err
		}
		params["media"] = string(media)
		return a.client.call(ctx, "editMessageMedia", uploadWithin, params, photo, nil)
	}
	err := with(t.html, "HTML")
	if said(err, badMarkup) {
		err = with(t.plain, "")
	}
	return err
}

// marked calls method with a text in a field, and once more without markup if
// Telegram cannot read that.
func (a *Adapter) marked(ctx context.Context, method, field string, within time.Duration, params tgbotapi.Params, t text, photo []byte, out any) error {
	params[field], params["parse_mode"] = t.html, "HTML"
	err := a.client.call(ctx, method, within, params, photo, out)
	if said(err, badMarkup) {
		delete(params, "parse_mode")
		params[field] = t.plain
		err = a.client.call(ctx, method, within, params, photo, out)
	}
	return err
}

// badMarkup is what Telegram says of HTML that it cannot read.
const badMarkup = "can't parse entities"

const noPreview = `{"is_disabled":true}`

// general is the topic of a forum that must not be named.
const general = "1"

// parseChat is a chat's number, and the topic's if the ID names one.
func parseChat(c chokepoint.ChatID) (chat int64, topic string, err error) {
	number, topic, _ := strings.Cut(c.ID, "/")
	chat, err = strconv.ParseInt(number, 10, 64)
	if err != nil || chat == 0 || c.Platform != chokepoint.Telegram {
		return 0, "", fmt.Errorf("%w: %s", errNoChat, c)
	}
	return chat, topic, nil
}

func chatID(chat int64, topic int64) chokepoint.ChatID {
	id := strconv.FormatInt(chat, 10)
	if topic != 0 {
		id += "/" + strconv.FormatInt(topic, 10)
	}
	return chokepoint.ChatID{Platform: chokepoint.Telegram, ID: id}
}

// said says whether Telegram's answer holds one of some phrases. It has no
// finer codes.
func said(err error, phrases ...string) bool {
	var f *failure
	if !errors.As(err, &f) || f.said == "" {
		return false
	}
	for _, p := range phrases {
		if strings.Contains(f.said, p) {
			return true
		}
	}
	return false
}

func noTopic(err error) bool {
	return said(err, "message thread not found", "TOPIC_CLOSED", "TOPIC_DELETED")
}
