package telegram

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	tgbotapi "github.com/go-telegram-bot-api/telegram-bot-api/v5"

	"github.com/chokepoint-bot/chokepoint/bot"
	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

const (
	handlersMost = 64
	batchMost    = 100              // updates at once; the Bot API's own bound
	backoffFirst = time.Second      // after a failure, doubled
	backoffMost  = time.Minute      // at most
	conflictWait = 5 * time.Second  // while another poller has the token
	pollSlack    = 15 * time.Second // for an answer beyond the time it may be held
	markWithin   = 5 * time.Second
)

// Run publishes menu and receives by long polling. How far it came is kept
// under the mark "telegram:offset:" and the bot's number, and told to Telegram,
// only after all that was received at once has been handled: so a crash repeats
// updates and loses none, and a command waits for those before it that are
// slow.
func (a *Adapter) Run(ctx context.Context, menu []bot.CommandSpec, got func(context.Context, bot.Inbound)) error {
	defer a.client.http.CloseIdleConnections()
	var me user
	if err := a.keep(ctx, "learning the bot's name", func() (err error) {
		me, err = a.me(ctx)
		return err
	}); err != nil || ctx.Err() != nil {
		return err
	}
	if err := a.publish(ctx, menu); err != nil && ctx.Err() == nil {
		a.cfg.Log.Warn("the menu of commands could not be published", "err", err)
	}
	mark := fmt.Sprintf("telegram:offset:%d", me.ID)
	var offset int64
	if err := a.keep(ctx, "reading the update offset", func() error {
		at, err := a.cfg.Offsets.Mark(ctx, mark)
		if err != nil {
			return err
		}
		offset, _ = strconv.ParseInt(at, 10, 64) // zero is where Telegram begins
		return nil
	}); err != nil || ctx.Err() != nil {
		return err
	}

	slots := make(chan struct{}, handlersMost)
	for {
		var batch []json.RawMessage
		if err := a.keep(ctx, "receiving", func() error { return a.updates(ctx, offset, &batch) }); err != nil || ctx.Err() != nil {
			return err
		}
		taken := offset
		var handlers sync.WaitGroup
		for _, raw := range batch {
			var u update
			if err := json.Unmarshal(raw, &u); err != nil || u.ID == 0 {
				a.cfg.Log.Warn("an update cannot be read", "err", err)
				// Its number is all that is needed to go on.
				var n struct {
					ID int64 `json:"update_id"`
				}
				if json.Unmarshal(raw, &n) == nil && n.ID != 0 {
					taken = n.ID + 1
				}
				continue
			}
			if !a.take(ctx, u, me, got, slots, &handlers) {
				break
			}
			// Not the greatest: after a quiet week numbers start anew, maybe
			// lower. https://core.telegram.org/bots/api#update
			taken = u.ID + 1
		}
		handlers.Wait()
		if taken == offset {
			continue
		}
		offset = taken
		if err := a.putMark(ctx, mark, offset); err != nil {
			a.cfg.Log.Warn("the update offset could not be kept", "err", err)
		}
	}
}

// putMark keeps the offset, though ctx may have ended: what was handled must not
// come again.
func (a *Adapter) putMark(ctx context.Context, mark string, offset int64) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), markWithin)
	defer cancel()
	return a.cfg.Offsets.PutMark(ctx, mark, strconv.FormatInt(offset, 10))
}

// take hands one update over, on a goroutine of its own. It is false if ctx was
// done before there was room.
func (a *Adapter) take(ctx context.Context, u update, me user, got func(context.Context, bot.Inbound), slots chan struct{}, handlers *sync.WaitGroup) bool {
	if m := u.said(); m != nil && m.MovedTo != 0 {
		a.cfg.Moved(ctx, chatID(m.Chat.ID, 0), chatID(m.MovedTo, 0))
		return true
	}
	if p := u.Place; p != nil {
		a.cfg.Log.Info("the bot's place in a chat changed", "chat", chatID(p.Chat.ID, 0).String(), "title", p.Chat.title(), "status", p.New.Status)
		return true
	}
	in, ok := u.inbound(me, a.cfg.Now())
	if !ok {
		return true
	}
	in.Admin = a.asker(u, in.User)
	select {
	case slots <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	handlers.Go(func() {
		defer func() { <-slots }()
		if u.Press != nil {
			// Until it is answered the button shows that it waits.
			if err := a.client.call(ctx, "answerCallbackQuery", sendWithin, tgbotapi.Params{"callback_query_id": u.Press.ID}, nil, nil); err != nil && ctx.Err() == nil {
				a.cfg.Log.Debug("a press could not be answered", "err", err)
			}
		}
		got(ctx, in)
	})
	return true
}

func (a *Adapter) updates(ctx context.Context, offset int64, batch *[]json.RawMessage) error {
	return a.client.call(ctx, "getUpdates", a.poll+pollSlack, tgbotapi.Params{
		"offset": strconv.FormatInt(offset, 10), "limit": strconv.Itoa(batchMost), "timeout": strconv.Itoa(int(a.poll / time.Second)),
		"allowed_updates": `["message","channel_post","callback_query","my_chat_member"]`,
	}, nil, batch)
}

// keep does what must succeed before Run can go on, again and again until it
// does or ctx is done. It gives up only if Telegram refuses the token.
func (a *Adapter) keep(ctx context.Context, doing string, f func() error) error {
	for wait := backoffFirst; ; wait = min(2*wait, backoffMost) {
		err := f()
		if err == nil || ctx.Err() != nil {
			return nil
		}
		var refused *failure
		again := wait
		if errors.As(err, &refused) && refused.said != "" {
			switch class(refused) {
			case bot.Unauthorized:
				return fmt.Errorf("telegram: %s: %w: %w", doing, bot.ErrStopped, err)
			case bot.RateLimited:
				again = max(wait, refused.wait)
			}
			if refused.code == http.StatusConflict {
				a.contend(ctx, refused)
				continue
			}
		}
		a.cfg.Log.Warn("receiving is held up", "by", doing, "again_in", again, "err", err)
		a.pause(ctx, again)
	}
}

// contend makes way for another receiver, or, if that is a webhook, takes its
// place: one left over from another program would keep us deaf for ever.
func (a *Adapter) contend(ctx context.Context, refused *failure) {
	if said(refused, "webhook is active") {
		a.cfg.Log.Warn("a webhook is set for this token: it is deleted, since this program polls", "err", refused)
		err := a.client.call(ctx, "deleteWebhook", sendWithin, nil, nil, nil)
		if err == nil || ctx.Err() != nil {
			return
		}
		a.cfg.Log.Warn("the webhook could not be deleted", "err", err)
	} else {
		a.cfg.Log.Error("someone else receives with this token: another process polls", "err", refused)
	}
	a.pause(ctx, conflictWait)
}

// languages are the menus published, by language_code: English for everyone,
// and those who speak another language in theirs.
var languages = map[string]chokepoint.Language{"": chokepoint.English, "zh": chokepoint.Chinese}

type menuEntry struct {
	Command     string `json:"command"`
	Description string `json:"description"`
}

// publish makes the menu what it should be, where it is not already.
func (a *Adapter) publish(ctx context.Context, menu []bot.CommandSpec) error {
	for _, code := range slices.Sorted(maps.Keys(languages)) {
		want := make([]menuEntry, 0, len(menu))
		for _, c := range menu {
			if help := c.Help[languages[code]]; help != "" {
				want = append(want, menuEntry{c.Name, help})
			}
		}
		params := tgbotapi.Params{"language_code": code}
		var have []menuEntry
		if err := a.client.call(ctx, "getMyCommands", sendWithin, params, nil, &have); err != nil {
			return err
		}
		if slices.Equal(have, want) {
			continue
		}
		body, err := json.Marshal(want)
		if err != nil {
			return err
		}
		params["commands"] = string(body)
		if err := a.client.call(ctx, "setMyCommands", sendWithin, params, nil, nil); err != nil {
			return err
		}
	}
	return nil
}
