package discord

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/bwmarrin/discordgo"

	"github.com/chokepoint-bot/chokepoint/bot"
)

const (
	// answerWithin bounds one request, whatever the caller's context says.
	answerWithin = 30 * time.Second
	// answerMost bounds the answer that is read, in bytes.
	answerMost = 4 << 20
	// bannedFor is how long we keep quiet after a 429 that is a page of HTML
	// and names no time: the address itself is refused, for having made too
	// many invalid requests. Discord does not publish how long that lasts.
	bannedFor = 10 * time.Minute
)

// request is one to be made. Buckets are per route and top-level ID.
// https://discord.com/developers/docs/topics/rate-limits
type request struct {
	method string
	route  string // the path's shape, such as "/channels/-/messages"
	top    string // the top-level ID in the path, "" if none
	path   string // after the version, such as "/channels/1/messages"
	kind   string // content type; "" for no body
	body   []byte
	exempt bool // not counted toward the global limit: interactions and webhooks
}

// exchange is what became of a request, as the transport saw it.
type exchange struct {
	wrote  atomic.Bool // it may have reached Discord
	status int         // 0 if there was no answer
	header http.Header
	body   []byte
	whole  bool // all of the answer was read
}

type exchangeKey struct{}

// wire carries discordgo's requests to the configured address. It records what
// the library throws away, and hides the rate limit headers from it: with
// them it sleeps through the context, holding a lock.
type wire struct {
	base *url.URL
	next http.RoundTripper
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	x, ok := r.Context().Value(exchangeKey{}).(*exchange)
	if !ok {
		x = &exchange{}
	}
	r = r.Clone(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		// Called before anything is flushed, so that no request reaches
		// Discord unmarked.
		WroteHeaders: func() { x.wrote.Store(true) },
	}))
	// The library speaks to https://discord.com/api/v9/ and nowhere else.
	r.URL.Scheme, r.URL.Host, r.Host = w.base.Scheme, w.base.Host, ""
	r.URL.Path = w.base.Path + strings.TrimPrefix(r.URL.Path, "/api/v"+discordgo.APIVersion)
	r.URL.RawPath = ""
	resp, err := w.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	x.status, x.header = resp.StatusCode, resp.Header.Clone()
	x.body, err = io.ReadAll(io.LimitReader(resp.Body, answerMost))
	x.whole = err == nil
	if err != nil {
		return nil, fmt.Errorf("answer cut short: %w", err)
	}
	for name := range resp.Header {
		if strings.HasPrefix(name, "X-Ratelimit-") {
			resp.Header.Del(name)
		}
	}
	resp.Body = io.NopCloser(bytes.NewReader(x.body))
	return resp, nil
}

// refusal is an error as Discord words it.
// https://discord.com/developers/docs/topics/opcodes-and-status-codes#json
type refusal struct {
	status  int
	code    int // 0 if there is none
	message string
	fields  string // the tree of fields that are wrong, as it came
}

func (e *refusal) Error() string {
	s := fmt.Sprintf("discord answered %d", e.status)
	if e.code != 0 {
		s += fmt.Sprintf(", code %d", e.code)
	}
	if e.message != "" {
		s += ": " + e.message
	}
	if e.fields != "" {
		s += " " + e.fields
	}
	return s
}

// code is Discord's own code for a failure, 0 if it has none.
func code(e *bot.SendError) int {
	var r *refusal
	if e != nil && errors.As(e.Err, &r) {
		return r.code
	}
	return 0
}

// do makes a request once, and decodes the answer into v if that is not nil.
// It never waits for a rate limit: it fails with RateLimited instead.
func (a *Adapter) do(ctx context.Context, q request, v any) *bot.SendError {
	if wait, global, why := a.pace.admit(q); wait > 0 {
		return &bot.SendError{Class: bot.RateLimited, Wait: wait, Global: global, Err: fmt.Errorf("%s %s held back: %s", q.method, q.route, why)}
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	x := &exchange{}
	// A bucket of one's own for every request: the library's shared ones are
	// locked while a request is under way, and are never dropped.
	bucket := &discordgo.Bucket{}
	bucket.Lock()
	_, err := a.rest.RequestWithLockedBucket(q.method, discordgo.EndpointAPI+strings.TrimPrefix(q.path, "/"), q.kind, q.body, bucket, 0,
		discordgo.WithContext(context.WithValue(ctx, exchangeKey{}, x)), discordgo.WithRestRetries(0), discordgo.WithRetryOnRatelimit(false))
	failed := a.judge(q, x, err)
	if failed != nil {
		failed.Err = fmt.Errorf("%s %s: %w", q.method, q.route, failed.Err)
		return failed
	}
	if v == nil {
		return nil
	}
	if err := json.Unmarshal(x.body, v); err != nil {
		return &bot.SendError{Class: bot.Unknown, Err: fmt.Errorf("%s %s: answer of status %d is not what it should be: %w", q.method, q.route, x.status, err)}
	}
	return nil
}

// judge says what an exchange means; nil if it went well.
func (a *Adapter) judge(q request, x *exchange, err error) *bot.SendError {
	var body struct {
		Code       int             `json:"code"`
		Message    string          `json:"message"`
		Errors     json.RawMessage `json:"errors"`
		RetryAfter float64         `json:"retry_after"`
		Global     bool            `json:"global"`
	}
	parsed := x.whole && json.Unmarshal(x.body, &body) == nil
	wait := time.Duration(0)
	if x.status == http.StatusTooManyRequests {
		wait = time.Duration(body.RetryAfter * float64(time.Second))
		if wait <= 0 {
			seconds, _ := strconv.Atoi(x.header.Get("Retry-After"))
			wait = time.Duration(seconds) * time.Second
		}
	}
	// A refusal that is not Discord's JSON comes from the proxy before it, and
	// is for our address.
	banned := !parsed && (x.status == http.StatusTooManyRequests || x.status == http.StatusForbidden)
	if banned {
		wait = max(wait, bannedFor)
	}
	a.pace.learn(q, x, wait, body.Global, banned)

	switch {
	case x.status == 0 && x.wrote.Load():
		return &bot.SendError{Class: bot.Unknown, Err: a.plain(err)}
	case x.status == 0:
		return &bot.SendError{Class: bot.Transient, Err: a.plain(err)}
	case x.status >= 200 && x.status < 300:
		if !x.whole {
			return &bot.SendError{Class: bot.Unknown, Err: a.plain(err)}
		}
		return nil
	}
	r := &refusal{status: x.status, code: body.Code, message: a.redact(cut(body.Message, 200)), fields: a.redact(cut(string(body.Errors), 500))}
	switch {
	case banned:
		return &bot.SendError{Class: bot.RateLimited, Wait: wait, Global: true, Err: r}
	case x.status == http.StatusTooManyRequests:
		return &bot.SendError{Class: bot.RateLimited, Wait: cmp.Or(wait, time.Second), Global: body.Global, Err: r}
	case x.status >= 500:
		return &bot.SendError{Class: bot.Unknown, Err: r}
	case x.status == http.StatusUnauthorized && !q.exempt:
		return &bot.SendError{Class: bot.Unauthorized, Err: r}
	}
	class, wait := classify(x.status, body.Code)
	return &bot.SendError{Class: class, Wait: wait, Err: r}
}

// classify says what Discord's refusal of a message means.
// https://discord.com/developers/docs/topics/opcodes-and-status-codes#json
func classify(status, code int) (bot.Class, time.Duration) {
	switch code {
	case 10003, 10004, // unknown channel, guild
		50001, 50013, // missing access, permissions
		50007, 50278, // a person who takes no messages from us
		40007,        // banned from the guild
		50008, 40058: // not a channel for messages: voice, forum
		return bot.ChatGone, 0
	case 10008, 50005: // unknown message; another's message
		return bot.MessageGone, 0
	case 20016, 20028, 20029: // slow mode, write limit of the channel
		return bot.RateLimited, time.Minute
	case 30046: // too many edits of a message older than an hour
		return bot.RateLimited, 10 * time.Minute
	case 40004, 130000: // sending switched off for a while; overloaded
		return bot.Transient, 0
	}
	if status == http.StatusBadRequest || status == http.StatusRequestEntityTooLarge || code != 0 {
		return bot.Rejected, 0
	}
	return bot.Transient, 0 // a redirect, a 404 that is not Discord's
}

// plain is a transport's error without the address, which holds the token of
// an interaction.
func (a *Adapter) plain(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if err == nil {
		return errors.New("no answer")
	}
	if clean := a.redact(err.Error()); clean != err.Error() {
		return errors.New(clean)
	}
	return err
}

func (a *Adapter) redact(s string) string { return strings.ReplaceAll(s, a.token, "[redacted]") }

// cut is s cut to n bytes, for error texts.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
