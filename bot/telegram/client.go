package telegram

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
	"strings"
	"sync/atomic"
	"time"

	tgbotapi "github.com/go-telegram-bot-api/telegram-bot-api/v5"
)

// bodyMost is the longest answer read: a hundred updates are far shorter.
const bodyMost = 8 << 20

// client calls methods of the Bot API.
type client struct {
	token    string
	endpoint string // with two %s: token and method
	http     *http.Client
}

func newClient(token, base string, rt http.RoundTripper) *client {
	return &client{
		token:    token,
		endpoint: strings.ReplaceAll(strings.TrimRight(base, "/"), "%", "%%") + "/bot%s/%s",
		http: &http.Client{
			Transport: rt,
			// A redirect would carry the token elsewhere.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// failure is a call that did not succeed. Its text never holds the token.
type failure struct {
	method string
	code   int           // the API's error_code, or the HTTP status if the answer was not the API's; 0 without an answer
	said   string        // the API's description, "" if the answer was not the API's
	wait   time.Duration // retry_after
	moved  int64         // migrate_to_chat_id
	maybe  bool          // without an answer: the request may have arrived
	err    error         // without an answer of the API
}

func (f *failure) Error() string {
	s := "telegram: " + f.method
	if f.code != 0 {
		s += fmt.Sprintf(": %d", f.code)
	}
	if f.said != "" {
		s += ": " + f.said
	}
	if f.err != nil {
		s += ": " + f.err.Error()
	}
	return s
}

func (f *failure) Unwrap() error { return f.err }

// call calls a method within a time and decodes its result into out, nil for
// none. photo is uploaded with it; nil for none. A failure is a *failure.
func (c *client) call(ctx context.Context, method string, within time.Duration, params tgbotapi.Params, photo []byte, out any) error {
	t := &trip{ctx: ctx, within: within, http: c.http}
	api := &tgbotapi.BotAPI{Token: c.token, Client: t}
	api.SetAPIEndpoint(c.endpoint)
	var resp *tgbotapi.APIResponse
	var err error
	if photo == nil {
		resp, err = api.MakeRequest(method, params)
	} else {
		resp, err = api.UploadFiles(method, params, []tgbotapi.RequestFile{{Name: "photo", Data: tgbotapi.FileBytes{Name: "chart.png", Bytes: photo}}})
	}
	var refused *tgbotapi.Error
	switch {
	case err == nil && out == nil:
		return nil
	case err == nil:
		if err := json.Unmarshal(resp.Result, out); err != nil {
			return &failure{method: method, maybe: true, err: errors.New("a result that cannot be read")}
		}
		return nil
	case errors.As(err, &refused):
		// The library leaves the code of a failed upload out of its error.
		return &failure{
			method: method, code: cmp.Or(resp.ErrorCode, t.status), said: c.redact(refused.Message), maybe: true,
			wait: time.Duration(refused.RetryAfter) * time.Second, moved: refused.MigrateToChatID,
		}
	case t.status != 0:
		return &failure{method: method, code: t.status, maybe: true, err: errors.New("an answer that is not the Bot API's")}
	}
	return &failure{method: method, maybe: t.maybe.Load(), err: c.bare(err)}
}

// bare is a transport's error without the address, which holds the token.
func (c *client) bare(err error) error {
	var u *url.Error
	for errors.As(err, &u) {
		err = u.Err
	}
	for _, known := range []error{context.Canceled, context.DeadlineExceeded, io.EOF, io.ErrUnexpectedEOF} {
		if errors.Is(err, known) {
			return known
		}
	}
	return errors.New(c.redact(err.Error()))
}

func (c *client) redact(s string) string {
	for _, secret := range []string{c.token, url.PathEscape(c.token), url.QueryEscape(c.token)} {
		s = strings.ReplaceAll(s, secret, "***")
	}
	return s
}

// trip is one request of the library's: it gives it a context and a deadline,
// bounds the answer, and remembers what the library forgets.
type trip struct {
	ctx    context.Context
	within time.Duration
	http   *http.Client

	maybe  atomic.Bool // the request may have reached the other side
	status int         // of an answer read to its end; 0 if there was none
}

// whole takes an upload out of the library's pipe, so that it has a length and
// can be sent again on a new connection if an idle one turns out to be closed,
// with nothing of it sent.
func whole(req *http.Request) error {
	if req.GetBody != nil {
		return nil
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return err
	}
	req.ContentLength = int64(len(body))
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	req.Body, err = req.GetBody()
	return err
}

// Do implements tgbotapi.HTTPClient.
func (t *trip) Do(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(t.ctx, t.within)
	defer cancel()
	if err := whole(req); err != nil {
		return nil, err
	}
	// Headers are reported before they leave, so that an answer or a broken
	// connection cannot overtake the report. A request that broke off while it
	// was written is one the other side cannot have understood.
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteHeaders: func() { t.maybe.Store(true) },
		WroteRequest: func(w httptrace.WroteRequestInfo) { t.maybe.Store(w.Err == nil) },
	})
	resp, err := t.http.Do(req.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, bodyMost))
	if err != nil {
		return nil, err
	}
	t.status = resp.StatusCode
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}
