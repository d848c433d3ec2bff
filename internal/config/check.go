package config

import (
	"fmt"
	"maps"
	"net"
	"net/mail"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

var (
	name     = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)
	cik      = regexp.MustCompile(`^[0-9]{10}$`)
	symbol   = regexp.MustCompile(`^\^?[A-Z0-9][A-Z0-9.=-]{0,14}$`)
	discord  = regexp.MustCompile(`^[0-9]{15,21}$`)
	telegram = regexp.MustCompile(`^-?[0-9]{1,16}(/[0-9]{1,10})?$`)
)

// fields are the keys that count for each kind of source and watcher, beside
// those that all have.
var fields = map[string][]string{
	"feed":    {"URLs", "Publisher", "Primary", "Language", "Match"},
	"edgar":   {"CIKs", "Forms", "BaseURL", "ArchiveURL"},
	"permits": {"Lists", "Match"},
	"quotes":  {"Symbols", "Providers", "OnlyInSession"},

	"expansion": {"Site"}, "lta": nil, "price": {"Rules"}, "thesis": nil,
}

func (l *loader) check(c *Config) {
	bad := func(path, format string, args ...any) { l.mistake(l.line(path), path, format, args...) }

	if c.Contact != "" {
		if a, err := mail.ParseAddress(c.Contact); err != nil || a.Address != c.Contact {
			bad("contact", "%q is not an e-mail address such as you@example.org", c.Contact)
		}
	}
	oneOf := func(path, got string, allowed ...string) {
		if !slices.Contains(allowed, got) {
			bad(path, "%q is none of %s", got, strings.Join(allowed, ", "))
		}
	}
	zone := func(path, z string) {
		if _, err := time.LoadLocation(z); err != nil || z == "Local" {
			bad(path, "%q is no time zone: use a name such as America/New_York or Asia/Shanghai", z)
		}
	}
	web := func(path, u string) {
		p, err := url.Parse(u)
		if err != nil || p.Host == "" || p.Scheme != "https" && p.Scheme != "http" {
			bad(path, "this is not an address such as https://example.org/feed.xml")
		} else if p.User != nil {
			bad(path, "an address must not carry a user or password")
		}
	}
	oneOf("language", string(c.Language), "en", "zh")
	zone("timezone", c.Timezone)
	oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	oneOf("log.format", c.Log.Format, "auto", "text", "json")
	oneOf("console.enabled", c.Console.Enabled, "auto", "true", "false")

	scheme, rest, _ := strings.Cut(c.Store.URL.Reveal(), ":")
	switch scheme {
	case "sqlite":
		if rest == "" {
			bad("store.url", "name the file: sqlite:chokepoint.db")
		}
	case "redis", "rediss", "redis+sentinel", "redis+cluster":
	default:
		bad("store.url", "it must begin with sqlite:, redis://, rediss://, redis+sentinel:// or redis+cluster://")
	}
	if c.Store.Keep.Std() < 30*24*time.Hour {
		bad("store.keep", "%s is too short: stories are told apart by what is kept; at least 30d", c.Store.Keep)
	}
	if c.Store.KeepQuotes.Std() < 7*24*time.Hour {
		bad("store.keep_quotes", "%s is too short: at least 7d", c.Store.KeepQuotes)
	}
	if c.HTTP.Listen != "" {
		if _, _, err := net.SplitHostPort(c.HTTP.Listen); err != nil {
			bad("http.listen", "%q is not an address such as 127.0.0.1:8080", c.HTTP.Listen)
		}
	}
	if t := c.HTTP.Timeout.Std(); t < time.Second || t > 5*time.Minute {
		bad("http.timeout", "%s is out of range: 1s to 5m", c.HTTP.Timeout)
	}

	l.checkPlatform("discord", c.Discord, discord, "a channel's number, such as 1180000000000000000 (Developer Mode, then Copy Channel ID)", bad, zone, web, c.Watchers)
	l.checkPlatform("telegram", c.Telegram, telegram, "a chat's number, such as -1001234567890, or with a topic -1001234567890/45", bad, zone, web, c.Watchers)
	if b, ok := strings.CutPrefix(c.Thesis, "builtin:"); ok && b != "cw-laser" {
		bad("thesis", "there is no built-in thesis %q; there is builtin:cw-laser", b)
	} else if c.Thesis == "" {
		bad("thesis", "name a file, or builtin:cw-laser")
	}

	schedule := func(path, spec, tz string) {
		if tz != "" {
			zone(path+".tz", tz)
		}
		if err := checkCron(spec); err != nil {
			bad(path+".cron", "%v", err)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(c.Sources)) {
		s, path := c.Sources[id], "sources."+id
		if !name.MatchString(id) {
			bad(path, "a name is lower-case letters, digits and dashes, at most 40")
		}
		if s.Kind == "" {
			bad(path+".kind", "say what it is: feed, edgar, permits or quotes")
			continue
		}
		oneOf(path+".kind", s.Kind, "feed", "edgar", "permits", "quotes")
		schedule(path, s.Cron, s.TZ)
		strayFields(path, s.Kind, reflect.ValueOf(s), bad)
		for i, u := range s.URLs {
			web(fmt.Sprintf("%s.urls[%d]", path, i), u)
		}
		for k, u := range s.Lists {
			oneOf(path+".lists."+k, k, "nsr", "titlev", "notice")
			web(path+".lists."+k, u)
		}
		for sym, n := range s.CIKs {
			if !cik.MatchString(n) {
				bad(path+".ciks."+string(sym), "%q is not ten digits, such as 0001158114", n)
			}
		}
		for i, sym := range s.Symbols {
			if !symbol.MatchString(string(sym)) {
				bad(fmt.Sprintf("%s.symbols[%d]", path, i), "%q is not a symbol as Yahoo Finance writes it, such as AAOI, SIVE.ST or ^SOX", sym)
			}
		}
		for i, p := range s.Providers {
			at := fmt.Sprintf("%s.providers[%d]", path, i)
			oneOf(at+".name", p.Name, "yahoo-spark", "yahoo-chart", "nasdaq", "finnhub")
			if p.URL != "" {
				web(at+".url", p.URL)
			}
		}
		switch s.Kind {
		case "feed":
			if len(s.URLs) == 0 {
				bad(path+".urls", "name at least one feed")
			}
		case "edgar":
			if len(s.CIKs) == 0 {
				bad(path+".ciks", "name at least one company, such as AAOI: \"0001158114\"")
			}
			web(path+".base_url", s.BaseURL)
			web(path+".archive_url", s.ArchiveURL)
		case "permits":
			if len(s.Lists) == 0 {
				bad(path+".lists", "name at least one list")
			}
			if len(s.Match) == 0 {
				bad(path+".match", "name at least one applicant or facility: a list without is hundreds of rows")
			}
		case "quotes":
			if len(s.Symbols) == 0 {
				bad(path+".symbols", "name at least one symbol")
			}
			if len(s.Providers) == 0 {
				bad(path+".providers", "name at least one provider")
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(c.Watchers)) {
		w, path := c.Watchers[id], "watchers."+id
		if !name.MatchString(id) || chokepoint.Topic(id) == chokepoint.TopicOps {
			bad(path, "a name is lower-case letters, digits and dashes, at most 40, and not %q", chokepoint.TopicOps)
		}
		if w.Kind == "" {
			bad(path+".kind", "say what it is: expansion, lta, price or thesis")
			continue
		}
		oneOf(path+".kind", w.Kind, "expansion", "lta", "price", "thesis")
		schedule(path, w.Cron, w.TZ)
		strayFields(path, w.Kind, reflect.ValueOf(w), bad)
		if w.Kind == "expansion" && w.Site == "" {
			bad(path+".site", "name a site of the thesis, such as aaoi-texas")
		}
	}
}

func (l *loader) checkPlatform(key string, p Platform, id *regexp.Regexp, want string, bad func(string, string, ...any), zone func(string, string), web func(string, string), watchers map[string]Watcher) {
	web(key+".api_url", p.APIURL)
	if strings.ContainsAny(p.Token.Reveal(), " \t\r\n") {
		bad(key+".token", "a token holds no blanks: paste it again, whole and alone")
	}
	for i, ch := range p.Chats {
		at := fmt.Sprintf("%s.chats[%d]", key, i)
		if !id.MatchString(ch.ID) {
			bad(at+".id", "%q is not %s", ch.ID, want)
		}
		if ch.Language != "" && ch.Language != "en" && ch.Language != "zh" {
			bad(at+".language", "%q is none of en, zh", ch.Language)
		}
		if ch.Timezone != "" {
			zone(at+".timezone", ch.Timezone)
		}
		for _, t := range ch.Topics {
			if _, ok := watchers[string(t)]; !ok {
				bad(at+".topics", "there is no watcher %q; there are %s", t, strings.Join(slices.Sorted(maps.Keys(watchers)), ", "))
			}
		}
	}
}

// strayFields reports settings that belong to another kind.
func strayFields(path, kind string, v reflect.Value, bad func(string, string, ...any)) {
	mine, known := fields[kind]
	if !known {
		return
	}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		foreign := false
		for _, names := range fields {
			foreign = foreign || slices.Contains(names, f.Name)
		}
		if foreign && !slices.Contains(mine, f.Name) && !v.Field(i).IsZero() {
			key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
			bad(path+"."+key, "this key means nothing for kind %s; take it out", kind)
		}
	}
}

// checkCron says what is wrong with a schedule of five fields.
func checkCron(spec string) (err error) {
	defer func() {
		if recover() != nil { // the parser panics on "TZ=0"
			err = fmt.Errorf("%q is not a schedule: five fields, such as \"*/10 6-22 * * 1-5\"; the zone goes into tz", spec)
		}
	}()
	if spec == "" {
		return fmt.Errorf("say when: five fields (minute hour day month weekday), such as \"*/10 6-22 * * 1-5\"")
	}
	if strings.HasPrefix(spec, "@") || strings.Contains(spec, "TZ=") {
		return fmt.Errorf("%q: write five fields, such as \"*/10 6-22 * * 1-5\"; the zone goes into tz", spec)
	}
	s, perr := cron.ParseStandard(spec)
	if perr != nil {
		return fmt.Errorf("%q is not a schedule (%w): five fields, such as \"*/10 6-22 * * 1-5\"", spec, perr)
	}
	if s.Next(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return fmt.Errorf("%q never comes: no such day exists", spec)
	}
	return nil
}
