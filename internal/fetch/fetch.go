// Package fetch asks the web politely: under a name that each host accepts, one
// request at a time per host and no faster than it likes, silent for a while
// after a refusal, with conditional requests, and with bounds on everything
// that comes back. It dials no private address unless it is told to.
package fetch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"

	"code.dny.dev/ssrf"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

// Bounds of an answer's body, counted after decompression.
const (
	DefaultLimit = 10 << 20
	FeedLimit    = 5 << 20
)

const (
	maxRedirects = 5
	headerLimit  = 64 << 10
	refusedLimit = 8 << 10 // of a refused answer's body that is kept in the Error
)

// Config says who asks, and how.
type Config struct {
	Version  string // of the program, for {version}; "" is "dev"
	Contact  string // e-mail address, for {contact}; "" if the operator gave none
	Homepage string // for {homepage}

	// UserAgents replace the agents of Manners, by host or parent domain;
	// "default" is for hosts that the table does not name.
	UserAgents map[string]string

	// AllowPrivate lets requests reach private and loopback addresses, and any
	// port; otherwise only public addresses on ports 80 and 443 are dialled.
	AllowPrivate bool

	// Timeout is of one request, from its turn to the last byte of the body;
	// zero is 30 s.
	Timeout time.Duration
}

// Client is polite and bounded. It uses no proxy from the environment: what
// is dialled is what was asked for. Methods may be called concurrently.
type Client struct {
	cfg       Config
	manners   map[string]Manner
	transport *http.Transport

	mu    sync.Mutex
	lanes map[string]*lane
}

// New makes a client. Close it to let its connections go.
func New(cfg Config) *Client {
	if cfg.Timeout <= 0 {
		cfg.Timeout = 30 * time.Second
	}
	if cfg.Version == "" {
		cfg.Version = "dev"
	}
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	if !cfg.AllowPrivate {
		// Control sees the address that is really dialled, after resolution
		// and on every hop of a redirect.
		dialer.Control = ssrf.New().Safe
	}
	return &Client{
		cfg:     cfg,
		manners: manners(cfg.UserAgents),
		lanes:   make(map[string]*lane),
		transport: &http.Transport{
			DialContext:            dialer.DialContext,
			ForceAttemptHTTP2:      true,
			TLSHandshakeTimeout:    10 * time.Second,
			MaxIdleConns:           64,
			MaxIdleConnsPerHost:    1,
			IdleConnTimeout:        90 * time.Second,
			MaxResponseHeaderBytes: headerLimit,
		},
	}
}

// Close lets idle connections go.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Validators are what an address gave to be asked again cheaply. They are
// kept in cursors, and are sent only to the address that gave them.
type Validators struct {
	ETag         string `json:"etag,omitempty"`
	LastModified string `json:"modified,omitempty"`
	SHA256       string `json:"sha256,omitempty"` // of the body, lower-case hex
}

// Request is what to ask.
type Request struct {
	URL string // http or https

	// As names the host whose manners apply (agent, pace, pause), where URL is
	// a mirror or a proxy of it; "" for URL's own.
	As string

	Accept     string
	Header     http.Header // such as an API key's; not sent to another host by a redirect
	Validators Validators  // zero asks unconditionally
	Limit      int64       // of the body in bytes after decompression; zero is DefaultLimit

	// Refused says what a status from 400 on means, where the host has habits
	// of its own; "" and a nil Refused leave it to the status. Body is the
	// beginning of what was answered.
	Refused func(status int, header http.Header, body []byte) chokepoint.Class
}

// Page is a well-received answer; whether its body is of the format that was
// due, the caller finds out.
type Page struct {
	URL         string // after redirects
	Unchanged   bool   // not modified, or the same digest as before
	Body        []byte // nil if Unchanged
	ContentType string
	Validators  Validators // to pass next time
}

// Error is a request that brought no answer to use. Its text names host and
// path, and holds no secret.
type Error struct {
	Class  chokepoint.Class
	Wait   time.Duration // the host is not asked before this; zero if it may be at any time
	Status int           // of HTTP; zero if there was no answer
	Body   []byte        // the beginning of a refused answer's, at most 8 KiB
	Err    error
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Get asks once its turn has come. While a host is closed after a refusal it
// is not asked at all: the error is of the class that closed it, with the time
// to wait. A connection that is dropped before it answers is tried once more.
// All errors are *Error.
func (c *Client) Get(ctx context.Context, r Request) (*Page, error) {
	u, err := url.Parse(r.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, &Error{Class: chokepoint.NotAsked, Err: fmt.Errorf("fetch: %q is not an http or https address", Redact(r.URL))}
	}
	fail := func(class chokepoint.Class, err error) *Error {
		return &Error{Class: class, Err: fmt.Errorf("fetch: %s: %w", Redact(r.URL), err)}
	}
	as := u.Hostname()
	if r.As != "" {
		as = r.As
	}
	agent, err := c.agent(as)
	if err != nil {
		return nil, fail(chokepoint.NotAsked, err)
	}
	l := c.lane(as, u)
	if err := l.enter(ctx); err != nil {
		var e *Error
		if errors.As(err, &e) {
			e.Err = fmt.Errorf("fetch: %s: %w", Redact(r.URL), e.Err)
			return nil, e
		}
		return nil, fail(chokepoint.Transport, err)
	}
	p, e := c.ask(ctx, r, u, agent)
	if e != nil {
		if e.Err != nil {
			e.Err = fmt.Errorf("fetch: %s: %w", Redact(r.URL), e.Err)
		}
		l.leave(e)
		return nil, e
	}
	l.leave(nil)
	return p, nil
}

// ask makes one request, or two if the connection drops before it answers.
func (c *Client) ask(ctx context.Context, r Request, u *url.URL, agent string) (*Page, *Error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	resp, err := c.do(ctx, r, u, agent)
	if dropped(err) && ctx.Err() == nil {
		resp, err = c.do(ctx, r, u, agent)
	}
	if err != nil {
		return nil, unanswered(err, u)
	}
	defer resp.Body.Close()

	switch {
	case resp.StatusCode == http.StatusNotModified:
		if r.Validators.ETag == "" && r.Validators.LastModified == "" {
			return nil, &Error{Class: chokepoint.NotTheFormat, Status: resp.StatusCode, Err: errors.New("304 to a request without conditions")}
		}
		v := r.Validators
		if tag := resp.Header.Get("ETag"); tag != "" {
			v.ETag = tag
		}
		return &Page{URL: resp.Request.URL.String(), Unchanged: true, Validators: v}, nil
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return nil, refusal(r, resp)
	}
	if enc := resp.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
		return nil, &Error{Class: chokepoint.NotTheFormat, Status: resp.StatusCode, Err: fmt.Errorf("content encoding %q was not asked for", enc)}
	}
	limit := r.Limit
	if limit <= 0 {
		limit = DefaultLimit
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, &Error{Class: chokepoint.Transport, Status: resp.StatusCode, Err: fmt.Errorf("reading the answer: %w", plain(err))}
	}
	if int64(len(body)) > limit {
		return nil, &Error{Class: chokepoint.NotTheFormat, Status: resp.StatusCode, Err: fmt.Errorf("the answer is longer than %d bytes", limit)}
	}
	sum := sha256.Sum256(body)
	p := &Page{
		URL:         resp.Request.URL.String(),
		Body:        body,
		ContentType: resp.Header.Get("Content-Type"),
		Validators: Validators{
			ETag:         resp.Header.Get("ETag"),
			LastModified: resp.Header.Get("Last-Modified"),
			SHA256:       hex.EncodeToString(sum[:]),
		},
	}
	if p.Validators.SHA256 == r.Validators.SHA256 {
		p.Unchanged, p.Body = true, nil
	}
	return p, nil
}

func (c *Client) do(ctx context.Context, r Request, u *url.URL, agent string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	for k, v := range r.Header {
		req.Header[k] = v
	}
	req.Header.Set("User-Agent", agent)
	if r.Accept != "" {
		req.Header.Set("Accept", r.Accept)
	}
	if r.Validators.ETag != "" {
		req.Header.Set("If-None-Match", r.Validators.ETag)
	}
	if r.Validators.LastModified != "" {
		req.Header.Set("If-Modified-Since", r.Validators.LastModified)
	}
	client := http.Client{
		Transport: c.transport,
		CheckRedirect: func(next *http.Request, via []*http.Request) error {
			return c.redirect(r, next, via)
		},
	}
	return client.Do(req)
}

// redirect lets a request follow a redirect or refuses it. What belongs to the
// first host alone does not travel.
func (c *Client) redirect(r Request, next *http.Request, via []*http.Request) error {
	refuse := func(format string, args ...any) error {
		return &Error{Class: chokepoint.NotTheFormat, Err: fmt.Errorf(format, args...)}
	}
	last := via[len(via)-1]
	switch {
	case len(via) > maxRedirects:
		return refuse("more than %d redirects", maxRedirects)
	case next.URL.Scheme != "http" && next.URL.Scheme != "https":
		return refuse("redirected to scheme %q", next.URL.Scheme)
	case last.URL.Scheme == "https" && next.URL.Scheme == "http":
		return refuse("redirected from https to http at %s", next.URL.Host)
	}
	next.Header.Del("Referer") // it would tell the query, keys and all
	if next.URL.Host == via[0].URL.Host {
		return nil
	}
	for k := range r.Header {
		next.Header.Del(k)
	}
	next.Header.Del("If-None-Match")
	next.Header.Del("If-Modified-Since")
	agent, err := c.agent(next.URL.Hostname())
	if err != nil {
		return &Error{Class: chokepoint.NotAsked, Err: err}
	}
	next.Header.Set("User-Agent", agent)
	return nil
}

// refusal reads an answer that is none.
func refusal(r Request, resp *http.Response) *Error {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, refusedLimit)) // the status says enough
	e := &Error{
		Status: resp.StatusCode,
		Body:   body,
		Wait:   retryAfter(resp.Header.Get("Retry-After"), time.Now()),
		Err:    fmt.Errorf("HTTP status %d", resp.StatusCode),
	}
	if r.Refused != nil && resp.StatusCode >= 400 {
		e.Class = r.Refused(resp.StatusCode, resp.Header, body)
	}
	if e.Class == "" {
		e.Class = classOf(resp.StatusCode)
	}
	return e
}

func classOf(status int) chokepoint.Class {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusUnavailableForLegalReasons:
		return chokepoint.Blocked
	case http.StatusNotFound, http.StatusGone:
		return chokepoint.Gone
	case http.StatusTooManyRequests:
		return chokepoint.RateLimited
	case http.StatusRequestTimeout, http.StatusTooEarly:
		return chokepoint.Transport
	}
	if status >= 500 {
		return chokepoint.Transport
	}
	return chokepoint.NotTheFormat
}

// unanswered classifies a request that brought no answer at all.
func unanswered(err error, asked *url.URL) *Error {
	var e *Error
	if errors.As(err, &e) { // a redirect that was refused
		return e
	}
	if errors.Is(err, ssrf.ErrProhibitedIP) || errors.Is(err, ssrf.ErrProhibitedPort) || errors.Is(err, ssrf.ErrProhibitedNetwork) {
		var at *url.Error
		if errors.As(err, &at) && at.URL != asked.String() {
			return &Error{Class: chokepoint.NotTheFormat, Err: fmt.Errorf("redirected to where it must not lead: %w", plain(err))}
		}
		return &Error{Class: chokepoint.NotAsked, Err: fmt.Errorf("%w: set http.allow_private in the configuration if that is meant", plain(err))}
	}
	return &Error{Class: chokepoint.Transport, Err: plain(err)}
}

// dropped says whether the connection broke before an answer came: some
// issuers' hosts drop one in three.
func dropped(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}

// plain takes the address out of a transport error: it may hold a key, and the
// caller names it anyhow.
func plain(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("no answer in time: %w", err)
	}
	return err
}

// Redact is an address fit for logs: without credentials, and with the values
// of keys and of long opaque parameters struck out.
func Redact(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "an address that cannot be read"
	}
	var b strings.Builder
	b.WriteString(u.Host + u.EscapedPath())
	for i, pair := range strings.FieldsFunc(u.RawQuery, func(r rune) bool { return r == '&' || r == ';' }) {
		b.WriteByte("?&"[min(i, 1)])
		key, value, has := strings.Cut(pair, "=")
		b.WriteString(key)
		if has && (secretKey(key) || opaque(value)) {
			value = "***"
		}
		if has {
			b.WriteString("=" + value)
		}
	}
	return b.String()
}

func secretKey(key string) bool {
	key = strings.ToLower(key)
	for _, word := range []string{"token", "key", "secret", "pass", "auth", "sig"} {
		if strings.Contains(key, word) {
			return true
		}
	}
	return false
}

// opaque says whether a parameter's value looks like a key: 20 or more letters
// and digits mixed, as in the private feeds of Reddit and of newswires.
func opaque(value string) bool {
	if len(value) < 20 {
		return false
	}
	letter, digit := false, false
	for _, c := range []byte(value) {
		switch {
		case c >= '0' && c <= '9':
			digit = true
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
			letter = true
		case c != '-' && c != '_' && c != '=' && c != '%':
			return false
		}
	}
	return letter && digit
}
