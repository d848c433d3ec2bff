package telegram

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
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
	params := tgbotapi.Params{"chat_id": strconv.FormatInt(p.chat, 10)}
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
		var at shown
		err := a.write(ctx, "sendMessage", "sendPhoto", params, t, p.photo, &at)
		if params["message_thread_id"] != "" && noTopic(err) {
			delete(params, "message_thread_id")
			posted.Elsewhere = true
			continue
		}
		posted.Message = strconv.FormatInt(at.ID, 10)
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
		err = a.write(ctx, "editMessageText", "", params, t, nil, new(shown))
		if said(err, "there is no text in the message to edit") {
			if units(t.plain) > captionMost {
				// As if it were gone, so that it is shown anew.
				return fmt.Errorf("%w of so long a text", errNoMessage)
			}
			delete(params, "link_preview_options")
			delete(params, "text")
			err = a.caption(ctx, params, t)
		}
	}
	if said(err, "message is not modified") {
		return nil
	}
	return err
}

// shown is the part of Telegram's answer to a message that we use.
type shown struct {
	ID    int64 `json:"message_id"`
	Photo []struct {
		FileID string `json:"file_id"`
	} `json:"photo"` // in several sizes, the largest last
}

// write calls the method for a text, or that for a picture with a caption.
func (a *Adapter) write(ctx context.Context, words, pictures string, params tgbotapi.Params, t text, photo []byte, at *shown) error {
	if len(photo) == 0 {
		params["link_preview_options"] = noPreview
		return marked(t.orEllipsis(), func(s, mode string) error {
			params["text"], params["parse_mode"] = s, mode
			return a.client.call(ctx, words, sendWithin, params, nil, at)
		})
	}
	return marked(t, func(s, mode string) error {
		params["caption"], params["parse_mode"] = s, mode
		return a.picture(ctx, pictures, params, photo, func(file string) error {
			delete(params, "photo") // an upload is a part of its own
			if file != attached {
				params["photo"] = file
			}
			return nil
		}, at)
	})
}

// caption changes the words beside a picture.
func (a *Adapter) caption(ctx context.Context, params tgbotapi.Params, t text) error {
	return marked(t, func(s, mode string) error {
		params["caption"], params["parse_mode"] = s, mode
		return a.client.call(ctx, "editMessageCaption", sendWithin, params, nil, nil)
	})
}

// replace puts a picture, with its caption, in the place of a message's text or
// picture. https://core.telegram.org/bots/api#inputmediaphoto
func (a *Adapter) replace(ctx context.Context, params tgbotapi.Params, t text, photo []byte) error {
	return marked(t, func(s, mode string) error {
		return a.picture(ctx, "editMessageMedia", params, photo, func(file string) error {
			media := map[string]string{"type": "photo", "media": file, "caption": s}
			if mode != "" {
				media["parse_mode"] = mode
			}
			body, err := json.Marshal(media)
			params["media"] = string(body)
			return err
		}, new(shown))
	})
}

// attached names the picture that is uploaded with a call.
const attached = "attach://photo"

// picture calls a method with a picture: one that Telegram has already goes by
// its file_id, any other is uploaded. name puts what stands for it into the
// parameters.
func (a *Adapter) picture(ctx context.Context, method string, params tgbotapi.Params, photo []byte, name func(file string) error, at *shown) error {
	sum := sha256.Sum256(photo)
	if id := a.photos.get(sum); id != "" {
		if err := name(id); err != nil {
			return err
		}
		err := a.client.call(ctx, method, sendWithin, params, nil, at)
		if !said(err, "wrong file identifier", "wrong remote file identifier") {
			return err
		}
		a.photos.put(sum, "") // another bot's, or too old
	}
	if err := name(attached); err != nil {
		return err
	}
	err := a.client.call(ctx, method, uploadWithin, params, photo, at)
	if n := len(at.Photo); err == nil && n > 0 {
		a.photos.put(sum, at.Photo[n-1].FileID)
	}
	return err
}

// photos remembers the file_ids of pictures by their sums, so that a chart for
// many chats is uploaded once.
type photos struct {
	mu sync.Mutex
	id map[[sha256.Size]byte]string
}

const photosMost = 256 // forgotten all at once: it is a cache

func (p *photos) get(sum [sha256.Size]byte) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.id[sum]
}

func (p *photos) put(sum [sha256.Size]byte, id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.id) >= photosMost {
		clear(p.id)
	}
	p.id[sum] = id
}

// marked calls with a text and its parse mode, and once more without markup if
// Telegram cannot read that.
func marked(t text, call func(s, mode string) error) error {
	err := call(t.html, "HTML")
	if said(err, badMarkup) {
		err = call(t.plain, "")
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
