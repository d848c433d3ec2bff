// Package config reads and checks the configuration: strictly (an unknown key
// is an error), completely (all mistakes at once, each with its line, path and
// remedy), and kindly (no file and an empty file are valid, and every key has
// a default).
package config

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

// Config is everything that people set.
type Config struct {
	Contact  string              `yaml:"contact"`  // an e-mail address; SEC is not asked without one
	Language chokepoint.Language `yaml:"language"` // of chats that have not chosen
	Timezone string              `yaml:"timezone"` // IANA name; of shown times, and of schedules that name none

	Log      Log      `yaml:"log"`
	Store    Store    `yaml:"store"`
	HTTP     HTTP     `yaml:"http"`
	Console  Console  `yaml:"console"`
	Discord  Platform `yaml:"discord"`
	Telegram Platform `yaml:"telegram"`

	Thesis string `yaml:"thesis"` // "builtin:cw-laser", or a file beside the configuration

	Sources  map[string]Source  `yaml:"sources"`
	Watchers map[string]Watcher `yaml:"watchers"`

	// Dir is the folder that relative paths start from: the file's own.
	Dir string `yaml:"-"`
}

// Log says what is logged and how.
type Log struct {
	Level  string `yaml:"level"`  // debug, info, warn, error
	Format string `yaml:"format"` // auto (coloured on a terminal, else json), text, json
}

// Store says where state lives.
type Store struct {
	URL        Secret   `yaml:"url"` // sqlite:FILE, redis://, rediss://, redis+sentinel://, redis+cluster://
	Keep       Duration `yaml:"keep"`
	KeepQuotes Duration `yaml:"keep_quotes"`
}

// HTTP is both sides: what we serve, and how we ask.
type HTTP struct {
	Listen       string            `yaml:"listen"`        // /healthz, /readyz, /metrics; "" for off
	AllowPrivate bool              `yaml:"allow_private"` // sources may resolve to private and loopback addresses
	UserAgents   map[string]string `yaml:"user_agents"`   // by host or its parent domain; {version}, {contact}, {homepage} are filled in
	Timeout      Duration          `yaml:"timeout"`       // of one request, body included
}

// Console is the terminal as a chat.
type Console struct {
	Enabled string `yaml:"enabled"` // auto (when no token is set), true, false
}

// Platform is a chat network.
type Platform struct {
	Token  Secret `yaml:"token"` // "" leaves the platform off
	APIURL string `yaml:"api_url"`
	Chats  []Chat `yaml:"chats"`
}

// Chat is a chat that the configuration enrols. Settings that people change
// in the chat win over these.
type Chat struct {
	ID       string              `yaml:"id"`
	Language chokepoint.Language `yaml:"language"` // "" for the default
	Timezone string              `yaml:"timezone"` // "" for the default
	Topics   []chokepoint.Topic  `yaml:"topics"`   // none for every watcher
	Ops      bool                `yaml:"ops"`      // operators' news too
}

// Source says where to look. Which fields count depends on Kind.
type Source struct {
	Kind    string   `yaml:"kind"` // feed, edgar, permits, quotes
	Enabled bool     `yaml:"enabled"`
	Cron    string   `yaml:"cron"`    // five fields
	TZ      string   `yaml:"tz"`      // of Cron; "" for timezone
	Jitter  Duration `yaml:"jitter"`  // each visit starts up to this much late
	Timeout Duration `yaml:"timeout"` // of one visit

	// feed
	URLs      []string `yaml:"urls"`
	Publisher string   `yaml:"publisher"` // "" for the feed's own title
	Primary   bool     `yaml:"primary"`   // the issuer's or an authority's own words
	Language  string   `yaml:"language"`  // BCP 47; "" for what the feed says
	Match     []string `yaml:"match"`     // feed: only items with one of these; permits: rows of interest

	// edgar
	CIKs       map[chokepoint.Symbol]string `yaml:"ciks"`
	Forms      []string                     `yaml:"forms"`
	BaseURL    string                       `yaml:"base_url"`    // of data.sec.gov
	ArchiveURL string                       `yaml:"archive_url"` // of www.sec.gov

	// permits
	Lists map[string]string `yaml:"lists"` // nsr, titlev, notice → address

	// quotes
	Symbols       []chokepoint.Symbol `yaml:"symbols"`
	Providers     []Provider          `yaml:"providers"` // asked in this order
	OnlyInSession bool                `yaml:"only_in_session"`
}

// Provider is one place to ask for prices.
type Provider struct {
	Name string `yaml:"name"` // yahoo-spark, yahoo-chart, nasdaq, finnhub
	URL  string `yaml:"url"`  // "" for the provider's own
	Key  Secret `yaml:"key"`  // finnhub: left out while empty
}

// Watcher says what to look for. Its name is the topic that chats follow.
type Watcher struct {
	Kind    string   `yaml:"kind"` // expansion, lta, price, thesis
	Enabled bool     `yaml:"enabled"`
	Cron    string   `yaml:"cron"` // when it looks by time alone; news wakes it at once
	TZ      string   `yaml:"tz"`
	Site    string   `yaml:"site"`  // expansion: the thesis's site
	Rules   []string `yaml:"rules"` // price: such as "AAOI below 20"
}

// Secret is text that must not be shown. Every way of printing it gives stars.
type Secret string

// Stars stand for a secret that is set.
const Stars = "********"

func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return Stars
}

func (s Secret) GoString() string              { return strconv.Quote(s.String()) }
func (s Secret) Format(f fmt.State, _ rune)    { fmt.Fprint(f, s.String()) }
func (s Secret) MarshalJSON() ([]byte, error)  { return json.Marshal(s.String()) }
func (s Secret) MarshalYAML() (any, error)     { return s.String(), nil }
func (s Secret) LogValue() slog.Value          { return slog.StringValue(s.String()) }
func (s *Secret) UnmarshalText(b []byte) error { *s = Secret(b); return nil }

// Reveal is the secret itself, for the one place that uses it.
func (s Secret) Reveal() string { return string(s) }

// Duration is a span as people write it: Go's form, and whole days as "400d".
type Duration time.Duration

// UnmarshalText reads a span.
func (d *Duration) UnmarshalText(b []byte) error {
	s := string(b)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil || n < 0 || n > 36500 {
			return fmt.Errorf("%q is not a span: write 90s, 15m, 2h or 400d", s)
		}
		*d = Duration(time.Duration(n) * 24 * time.Hour)
		return nil
	}
	v, err := time.ParseDuration(s)
	if err != nil || v < 0 {
		return fmt.Errorf("%q is not a span: write 90s, 15m, 2h or 400d", s)
	}
	*d = Duration(v)
	return nil
}

// String is the shortest form that UnmarshalText reads.
func (d Duration) String() string {
	v := time.Duration(d)
	if v >= 48*time.Hour && v%(24*time.Hour) == 0 {
		return strconv.Itoa(int(v/(24*time.Hour))) + "d"
	}
	s := v.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// Std is the span as Go has it.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// Secrets is every secret that is set, revealed: for whoever strikes them out
// of a text. A password inside the store's address stands alone.
func (c Config) Secrets() []string {
	var all []string
	add := func(s Secret) {
		if len(s) >= 6 { // shorter ones would strike out ordinary words
			all = append(all, s.Reveal())
		}
	}
	add(c.Discord.Token)
	add(c.Telegram.Token)
	if u, err := url.Parse(c.Store.URL.Reveal()); err == nil && u.User != nil {
		if p, ok := u.User.Password(); ok {
			add(Secret(p))
		}
	}
	for _, s := range c.Sources {
		for _, p := range s.Providers {
			add(p.Key)
		}
	}
	return all
}
