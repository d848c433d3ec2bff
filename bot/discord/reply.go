package discord

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/chokepoint-bot/chokepoint/bot"
	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

const (
	// deferWithin is how long an interaction may wait for its first answer,
	// less a margin: 3 s. deferred answers may come for 15 min.
	// https://discord.com/developers/docs/interactions/receiving-and-responding
	deferWithin = 2500 * time.Millisecond
	tokenLives  = 14*time.Minute + 30*time.Second
)

// Interaction callback type DEFERRED_CHANNEL_MESSAGE_WITH_SOURCE: "… is
// thinking". It is right for buttons too: type 6 would make the pressed message
// the one that the first answer replaces.
const deferMessage = 5

// reply is an Inbound's ReplyTo: where its answers go.
type reply struct {
	channel string // of the fall-back, and of answers to a message
	answers string // the message answered; "" for an interaction
	app     string
	token   string // the interaction's: whoever has it may answer
	at      time.Time

	mu      sync.Mutex
	waiting bool // the deferred answer is shown as "thinking"
	count   int  // answers so far
}

// Reply answers: an interaction through its own webhook, first in place of
// "thinking" and then with further messages; anything else, and an interaction
// whose time is over, with messages in the channel.
func (a *Adapter) Reply(ctx context.Context, in bot.Inbound, m bot.Message) error {
	p, failed := a.payload(m)
	if failed != nil {
		return failed
	}
	r, ok := in.ReplyTo.(*reply)
	if !ok {
		r = &reply{channel: in.Chat.ID}
		if in.Thread != "" {
			r.channel = in.Thread
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if failed := a.answer(ctx, r, in.ID, p); failed != nil {
		return failed
	}
	r.count++
	return nil
}

func (a *Adapter) answer(ctx context.Context, r *reply, id string, p payload) *bot.SendError {
	if r.token != "" && a.now().Sub(r.at) < tokenLives {
		failed := a.answerInteraction(ctx, r, p)
		if failed == nil || !over(failed) {
			return failed
		}
		a.log.Debug("interaction is over; answering in the channel", "err", failed)
	}
	p.Nonce, p.EnforceNonce = chokepoint.ShortHash(nonceMost, "reply", id, fmt.Sprint(r.count)), true
	if r.answers != "" {
		p.Reference = &reference{MessageID: r.answers}
	}
	_, failed := a.post(ctx, r.channel, p)
	return failed
}

func (a *Adapter) answerInteraction(ctx context.Context, r *reply, p payload) *bot.SendError {
	if r.waiting {
		q := r.webhook("PATCH", "/messages/@original")
		edit := p
		edit.Flags = 0
		failed := a.write(ctx, q, edit, nil)
		if code(failed) != 10008 {
			if failed == nil {
				r.waiting = false
			}
			return failed
		}
		r.waiting = false // somebody deleted it
	}
	return a.write(ctx, r.webhook("POST", ""), p, &created{})
}

// over says whether a refusal means that an interaction takes no answer.
func over(e *bot.SendError) bool {
	switch code(e) {
	case 10015, 10062, 50027: // unknown webhook, unknown interaction, invalid webhook token
		return true
	}
	return false
}

// webhook is a request to the interaction's own webhook.
func (r *reply) webhook(method, rest string) request {
	return request{method: method, route: "/webhooks/-/-" + rest, top: r.token, path: "/webhooks/" + r.app + "/" + r.token + rest, exempt: true}
}

// deferAnswer acknowledges an interaction, which must happen within 3 s.
func (a *Adapter) deferAnswer(ctx context.Context, id string, r *reply) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deferWithin)
	defer cancel()
	body, err := json.Marshal(map[string]int{"type": deferMessage})
	if err != nil {
		a.log.Error("encoding a callback", "err", err)
		return
	}
	failed := a.do(ctx, request{
		method: http.MethodPost, route: "/interactions/-/-/callback", top: r.token, path: "/interactions/" + id + "/" + r.token + "/callback",
		kind: "application/json", body: body, exempt: true,
	}, nil)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case failed == nil, failed.Class == bot.Unknown, code(failed) == 40060:
		// Done, perhaps done, or done before: Reply finds out.
		r.waiting = true
	default:
		r.token = "" // answers go to the channel
	}
	if failed != nil {
		a.log.Warn("interaction not acknowledged", "interaction", id, "err", failed)
	}
}

// settle takes "thinking" away if nothing was answered.
func (a *Adapter) settle(ctx context.Context, r *reply) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.waiting || r.token == "" {
		return
	}
	r.waiting = false
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deferWithin)
	defer cancel()
	if failed := a.do(ctx, r.webhook("DELETE", "/messages/@original"), nil); failed != nil {
		a.log.Debug("taking a deferred answer back", "err", failed)
	}
}
