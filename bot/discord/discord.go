// Package discord carries messages to and from Discord. It sends over REST,
// receives over the gateway, and supervises the library it uses for both:
// discordgo retries, sleeps and reconnects in ways that a bot which must
// neither repeat nor lose a message cannot have.
package discord

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/bwmarrin/discordgo"

	"github.com/chokepoint-bot/chokepoint/bot"
	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

// userAgent is of the form that Discord demands; without it requests are
// refused. https://discord.com/developers/docs/reference#user-agent
const userAgent = "DiscordBot (https://github.com/chokepoint-bot/chokepoint, 1)"

// Config is what an Adapter needs to know.
type Config struct {
	Token     string            // the bot's, without "Bot " in front
	APIURL    string            // with the version; "" is https://discord.com/api/v10
	Now       func() time.Time  // nil is time.Now
	Log       *slog.Logger      // nil is silence
	Transport http.RoundTripper // for REST; nil is one of its own
}

// Adapter is Discord as package bot sees it. It is also a bot.Prober and a
// bot.Threader.
type Adapter struct {
	token string
	now   func() time.Time
	log   *slog.Logger
	wire  *wire
	rest  *discordgo.Session // never opened: REST only
	pace  *pace
	where *places

	identifies identifies

	// sleep waits, or returns the context's error; ready is readyWithin. Tests
	// that watch the supervisor at work put their own in their place.
	sleep func(ctx context.Context, d time.Duration) error
	ready time.Duration
}

var (
	_ bot.Adapter  = (*Adapter)(nil)
	_ bot.Prober   = (*Adapter)(nil)
	_ bot.Threader = (*Adapter)(nil)
)

// New makes an adapter. It does no I/O; an error means that the configuration
// cannot be right.
func New(cfg Config) (*Adapter, error) {
	token := strings.TrimPrefix(strings.TrimSpace(cfg.Token), "Bot ")
	if token == "" {
		return nil, errors.New("discord: no token")
	}
	for i := range len(token) {
		if token[i] <= ' ' || token[i] > '~' {
			return nil, errors.New("discord: the token holds characters that no token has")
		}
	}
	if cfg.APIURL == "" {
		cfg.APIURL = "https://discord.com/api/v10"
	}
	base, err := url.Parse(strings.TrimRight(cfg.APIURL, "/"))
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" || base.RawQuery != "" {
		return nil, errors.New("discord: the API's address must be like https://discord.com/api/v10")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Transport == nil {
		own := http.DefaultTransport.(*http.Transport).Clone()
		own.MaxResponseHeaderBytes = 64 << 10
		cfg.Transport = own
	}
	a := &Adapter{
		token: token,
		now:   cfg.Now,
		log:   cfg.Log,
		wire:  &wire{base: base, next: cfg.Transport},
		pace:  newPace(cfg.Now),
		where: newPlaces(cfg.Now),
		sleep: sleep,
		ready: readyWithin,
	}
	if a.rest, err = a.library(a.wire); err != nil {
		return nil, err
	}
	return a, nil
}

// library is a discordgo session with its own ideas switched off.
func (a *Adapter) library(transport http.RoundTripper) (*discordgo.Session, error) {
	s, err := discordgo.New("Bot " + a.token)
	if err != nil {
		return nil, fmt.Errorf("discord: making a session: %w", err)
	}
	s.LogLevel = -1 // its log is global to the process, and prints tokens
	s.UserAgent = userAgent
	s.MaxRestRetries = 0
	s.ShouldRetryOnRateLimit = false
	s.ShouldReconnectOnError = false
	s.StateEnabled = false // its cache never forgets
	s.Compress = false
	s.Identify.Compress = false
	s.SyncEvents = true // else a goroutine per event, unbounded; ours return at once
	// MESSAGE_CONTENT is not among them: what is said in direct chats and to
	// the bot in a mention comes with its text anyway.
	// https://discord.com/developers/docs/events/gateway#message-content-intent
	s.Identify.Intents = discordgo.IntentGuilds | discordgo.IntentGuildMessages | discordgo.IntentDirectMessages
	s.Client = &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return s, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Platform is chokepoint.Discord.
func (a *Adapter) Platform() chokepoint.Platform { return chokepoint.Discord }

// Limits are Discord's. The rates are those that bots commonly meet, five
// messages in five seconds and channel; the true ones come with each answer
// and are obeyed. https://discord.com/developers/docs/topics/rate-limits
func (a *Adapter) Limits() bot.Limits {
	return bot.Limits{
		Text:    descriptionMost,
		Image:   imageMost,
		Every:   time.Second,
		Burst:   5,
		Global:  20 * time.Millisecond,
		Dedups:  true,
		Edits:   true,
		Measure: measure,
	}
}

// Probe asks who the token belongs to.
func (a *Adapter) Probe(ctx context.Context) (string, error) {
	var me struct {
		Username string `json:"username"`
	}
	if failed := a.do(ctx, request{method: "GET", route: "/users/@me", path: "/users/@me"}, &me); failed != nil {
		return "", failed
	}
	return me.Username, nil
}
