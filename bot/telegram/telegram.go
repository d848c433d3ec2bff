// Package telegram is Telegram as a platform, by its Bot API: HTML messages,
// inline buttons, forum topics, and commands by long polling.
package telegram

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"github.com/chokepoint-bot/chokepoint/bot"
	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

// Telegram publishes no exact limits: about one message a second in a chat, 20
// a minute in a group, 30 a second in all, edits counted. Three at once and
// then one every 3.6 seconds are never more than 20 in any minute.
// https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this
const (
	paceEvery  = 3600 * time.Millisecond
	paceBurst  = 3
	paceGlobal = time.Second / 30
)

// Config says which bot to be.
type Config struct {
	Token  string
	APIURL string // "" for https://api.telegram.org
	// Offsets remembers how far updates were taken: a mark by name, "" if
	// there is none.
	Offsets interface {
		Mark(ctx context.Context, name string) (string, error)
		PutMark(ctx context.Context, name, value string) error
	}
	Now func() time.Time
	Log *slog.Logger
	// Moved is called when a group was upgraded and has another ID; nil for
	// nothing to be done.
	Moved func(ctx context.Context, from, to chokepoint.ChatID)
	HTTP  http.RoundTripper // nil for a transport of its own
}

// Adapter is a bot on Telegram. It implements bot.Adapter and bot.Prober.
type Adapter struct {
	cfg    Config
	client *client
	admins admins
	photos photos

	poll  time.Duration // how long Telegram may hold a getUpdates that has nothing
	pause func(ctx context.Context, d time.Duration)
}

// tokenShape is a bot's number, a colon, and its secret.
var tokenShape = regexp.MustCompile(`^[0-9]{1,20}:[A-Za-z0-9_-]{1,100}$`)

// New is an adapter for a bot. Nothing is asked of Telegram before it is used.
func New(cfg Config) (*Adapter, error) {
	if !tokenShape.MatchString(cfg.Token) {
		return nil, errors.New("telegram: the token is not of the form 123456:ABC-def")
	}
	if cfg.APIURL == "" {
		cfg.APIURL = "https://api.telegram.org"
	}
	if u, err := url.Parse(cfg.APIURL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("telegram: the API's address is not http or https")
	}
	if cfg.Moved == nil {
		cfg.Moved = func(context.Context, chokepoint.ChatID, chokepoint.ChatID) {}
	}
	if cfg.HTTP == nil {
		own := http.DefaultTransport.(*http.Transport).Clone()
		own.MaxResponseHeaderBytes = 64 << 10
		own.MaxIdleConnsPerHost = 8
		cfg.HTTP = own
	}
	return &Adapter{
		cfg: cfg, client: newClient(cfg.Token, cfg.APIURL, cfg.HTTP),
		admins: admins{known: map[member]standing{}}, photos: photos{id: map[[sha256.Size]byte]string{}}, poll: 50 * time.Second, pause: pause,
	}, nil
}

// pause waits for d or until ctx is done.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// Platform is chokepoint.Telegram.
func (a *Adapter) Platform() chokepoint.Platform { return chokepoint.Telegram }

// Limits: 4096 UTF-16 units of what is read, pictures of 10 MB, and a pace that
// groups bear.
func (a *Adapter) Limits() bot.Limits {
	return bot.Limits{
		Text: textMost, Image: imageMost, Every: paceEvery, Burst: paceBurst, Global: paceGlobal,
		Edits: true, Measure: measure,
	}
}

// Probe is the bot's name as people write it, such as "@chokepoint_bot".
func (a *Adapter) Probe(ctx context.Context) (string, error) {
	me, err := a.me(ctx)
	if err != nil {
		return "", a.sendError(err)
	}
	return "@" + me.Username, nil
}

func (a *Adapter) me(ctx context.Context) (user, error) {
	var me user
	if err := a.client.call(ctx, "getMe", sendWithin, nil, nil, &me); err != nil {
		return user{}, err
	}
	if me.ID == 0 || me.Username == "" {
		return user{}, &failure{method: "getMe", maybe: true, err: errors.New("a bot without a name")}
	}
	return me, nil
}

// sendError classifies err, which is one of send's.
func (a *Adapter) sendError(err error) *bot.SendError {
	e := &bot.SendError{Class: bot.Transient, Err: err}
	var f *failure
	switch {
	case errors.Is(err, errTooLong), errors.Is(err, errTooBig):
		e.Class = bot.Rejected
	case errors.Is(err, errNoChat):
		e.Class = bot.ChatGone
	case errors.Is(err, errNoMessage):
		e.Class = bot.MessageGone
	case errors.As(err, &f):
		e.Class = class(f)
		if e.Class == bot.RateLimited {
			e.Wait = max(f.wait, time.Second)
		}
		if e.Class == bot.Moved {
			e.To = chatID(f.moved, 0)
		}
	default:
		e.Err = fmt.Errorf("telegram: %w", err)
	}
	return e
}

// class says what a failed call means. Telegram tells apart by its
// descriptions, which are those of its own server:
// https://github.com/tdlib/telegram-bot-api (Client.cpp)
func class(f *failure) bot.Class {
	switch {
	case f.moved != 0:
		return bot.Moved
	case f.code == http.StatusBadGateway, f.code == http.StatusServiceUnavailable:
		return bot.Transient // the front end had nobody to hand it to
	case f.said == "" && f.maybe:
		return bot.Unknown
	case f.said == "":
		return bot.Transient
	case f.code == http.StatusTooManyRequests:
		return bot.RateLimited
	case f.code == http.StatusUnauthorized, f.said == "Not Found": // a token that is none is a path that is none
		return bot.Unauthorized
	case said(f, "not enough rights to send photos", "CHAT_SEND_PHOTOS_FORBIDDEN", "CHAT_SEND_MEDIA_FORBIDDEN"):
		return bot.Rejected // as it is: words may pass
	case f.code == http.StatusForbidden, said(f, gone...):
		return bot.ChatGone
	case said(f, "message to edit not found", "message can't be edited", "MESSAGE_ID_INVALID"):
		return bot.MessageGone
	case f.code == http.StatusConflict:
		return bot.Transient
	case f.code >= 400 && f.code < 500:
		return bot.Rejected
	}
	return bot.Unknown
}

// gone is what 400s say when no message will ever reach the chat.
var gone = []string{
	"chat not found", "CHAT_WRITE_FORBIDDEN", "CHAT_RESTRICTED", "CHAT_SEND_PLAIN_FORBIDDEN", "not enough rights", "have no rights to send a message",
	"need administrator rights", "group chat was deactivated", "PEER_ID_INVALID", "user is deactivated",
}
