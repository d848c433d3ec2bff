package discord

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/chokepoint-bot/chokepoint/bot"
)

// created is what is read of a message in an answer.
type created struct {
	ID string `json:"id"`
}

// Send posts or changes a message.
//
// The key goes along as nonce: within some minutes Discord returns the message
// that a repeat would double, and says 10008 if that has been deleted since,
// which counts as shown, with no Message in Posted.
//
// A message for a thread that is gone, closed or out of bounds is posted in
// the chat, as an answer to the message that the thread began at. An edit in
// such a thread is MessageGone.
func (a *Adapter) Send(ctx context.Context, to bot.Target, m bot.Message, key string) (bot.Posted, error) {
	p, failed := a.payload(m)
	if failed != nil {
		return bot.Posted{}, failed
	}
	if !snowflake(to.Chat.ID) {
		return bot.Posted{}, &bot.SendError{Class: bot.ChatGone, Err: fmt.Errorf("%q is not a channel's number", cut(to.Chat.ID, 40))}
	}
	if to.Thread != "" && !snowflake(to.Thread) || to.Edit != "" && !snowflake(to.Edit) {
		return bot.Posted{}, &bot.SendError{Class: bot.MessageGone, Err: errors.New("not a thread's or message's number")}
	}
	if to.Edit != "" {
		return a.edit(ctx, to, p)
	}
	p.Nonce, p.EnforceNonce = nonce(key), true
	channel := to.Chat.ID
	if to.Thread != "" {
		channel = to.Thread
	}
	if snowflake(to.Answer) {
		p.Reference = &reference{MessageID: to.Answer}
	}
	id, failed := a.post(ctx, channel, p)
	if failed != nil && to.Thread != "" && closed(failed) {
		// A thread has the ID of the message it began at.
		p.Reference = &reference{MessageID: to.Thread}
		if id, failed = a.post(ctx, to.Chat.ID, p); failed == nil {
			return bot.Posted{Message: id, Elsewhere: true}, nil
		}
	}
	if failed != nil {
		return bot.Posted{}, failed
	}
	return bot.Posted{Message: id}, nil
}

// snowflake says whether s is one of Discord's numbers.
// https://discord.com/developers/docs/reference#snowflakes
func snowflake(s string) bool {
	_, err := strconv.ParseUint(s, 10, 64)
	return err == nil
}

// closed says whether a refusal is the thread's and not the chat's.
func closed(e *bot.SendError) bool {
	switch code(e) {
	case 10003, 50001, 50013, // gone, or not for us
		50083, 160005: // archived, locked
		return true
	}
	return false
}

// payload is m as a body, checked against our own Limits.
func (a *Adapter) payload(m bot.Message) (payload, *bot.SendError) {
	if n := measure(m); n > descriptionMost {
		return payload{}, &bot.SendError{Class: bot.Rejected, Err: fmt.Errorf("message of %d characters, at most %d", n, descriptionMost)}
	}
	if n := len(m.Image); n > imageMost {
		return payload{}, &bot.SendError{Class: bot.Rejected, Err: fmt.Errorf("image of %d bytes, at most %d", n, imageMost)}
	}
	return newPayload(m), nil
}

// post writes a new message and returns its ID.
func (a *Adapter) post(ctx context.Context, channel string, p payload) (string, *bot.SendError) {
	q := request{method: "POST", route: "/channels/-/messages", top: channel, path: "/channels/" + channel + "/messages"}
	var got created
	failed := a.write(ctx, q, p, &got)
	switch code(failed) {
	case 10008:
		return "", nil // a repeat, and what it repeats was deleted
	case 160002: // no permission to read what is answered: show it all the same
		if p.Reference != nil {
			p.Reference = nil
			return a.post(ctx, channel, p)
		}
	}
	return got.ID, failed
}

func (a *Adapter) edit(ctx context.Context, to bot.Target, p payload) (bot.Posted, error) {
	channel := to.Chat.ID
	if to.Thread != "" {
		channel = to.Thread
	}
	p.Flags = 0 // those of posting
	q := request{method: "PATCH", route: "/channels/-/messages/-", top: channel, path: "/channels/" + channel + "/messages/" + to.Edit}
	if failed := a.write(ctx, q, p, nil); failed != nil {
		if code(failed) == 50083 || to.Thread != "" && closed(failed) {
			failed.Class = bot.MessageGone
		}
		return bot.Posted{}, failed
	}
	return bot.Posted{Message: to.Edit}, nil
}

// write makes a request of a message.
func (a *Adapter) write(ctx context.Context, q request, p payload, got *created) *bot.SendError {
	kind, body, err := p.encode()
	if err != nil {
		return &bot.SendError{Class: bot.Rejected, Err: fmt.Errorf("encoding a message: %w", err)}
	}
	q.kind, q.body = kind, body
	if got == nil {
		return a.do(ctx, q, nil)
	}
	failed := a.do(ctx, q, got)
	if failed == nil && got.ID == "" {
		return &bot.SendError{Class: bot.Unknown, Err: errors.New(q.method + " " + q.route + ": the answer names no message")}
	}
	return failed
}

// OpenThread opens a thread under at.Edit. Its ID is the message's; there is
// one at most.
// https://discord.com/developers/docs/resources/channel#start-thread-from-message
func (a *Adapter) OpenThread(ctx context.Context, at bot.Target, name string) (string, error) {
	if !snowflake(at.Chat.ID) || !snowflake(at.Edit) {
		return "", &bot.SendError{Class: bot.MessageGone, Err: errors.New("not a message's number")}
	}
	body, err := json.Marshal(map[string]any{"name": threadName(name), "auto_archive_duration": 1440})
	if err != nil {
		return "", &bot.SendError{Class: bot.Rejected, Err: err}
	}
	var got created
	failed := a.do(ctx, request{
		method: "POST", route: "/channels/-/messages/-/threads", top: at.Chat.ID, path: "/channels/" + at.Chat.ID + "/messages/" + at.Edit + "/threads",
		kind: "application/json", body: body,
	}, &got)
	switch {
	case code(failed) == 160004:
		return at.Edit, nil // it is there already
	case code(failed) == 50013:
		failed.Class = bot.Rejected // no permission to open threads; messages may still be fine
		return "", failed
	case failed != nil:
		return "", failed
	case got.ID == "":
		return at.Edit, nil
	}
	return got.ID, nil
}

func threadName(s string) string {
	if s = short(bot.Neutral(s), threadNameMost); s != "" {
		return s
	}
	return "…"
}
