package app

import (
	"context"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chokepoint-bot/chokepoint/bot/discord/discordtest"
	"github.com/chokepoint-bot/chokepoint/bot/telegram/telegramtest"
	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/internal/config"
	"github.com/chokepoint-bot/chokepoint/internal/redistest"
	"github.com/chokepoint-bot/chokepoint/internal/upstreamtest"
	"github.com/chokepoint-bot/chokepoint/watchers"
)

// group is the Telegram group, channel the Discord channel, that the stories
// are told in.
const (
	group   = -1001
	channel = "118000000000000001"
	admin   = 1001
	member  = 1002
)

// world is everything outside the program.
type world struct {
	t        testing.TB
	up       *upstreamtest.Server
	telegram *telegramtest.Server
	discord  *discordtest.Server
	cfg      config.Config
}

// stores are the back ends that each story is told on.
func stores(t *testing.T, story func(t *testing.T, url string)) {
	t.Helper()
	t.Run("on one file", func(t *testing.T) {
		t.Parallel()
		story(t, "sqlite:"+filepath.Join(t.TempDir(), "state.db"))
	})
	t.Run("on Redis", func(t *testing.T) {
		t.Parallel()
		story(t, redistest.Start(t).URL())
	})
}

func newWorld(t testing.TB, storeURL string) *world {
	t.Helper()
	w := &world{t: t, up: upstreamtest.Start(t), telegram: telegramtest.New(t), discord: discordtest.New()}
	t.Cleanup(w.discord.Close)
	w.telegram.AddChat(group, "supergroup")
	w.telegram.SetAdmin(group, admin, true)
	w.discord.AddChannel(discordtest.Channel{ID: channel, Name: "alerts"})

	c := config.Default()
	c.Store.URL = config.Secret(storeURL)
	c.HTTP.Listen, c.HTTP.AllowPrivate = "", true
	c.Console.Enabled = "false"
	c.Contact = "test@example.org"
	c.Telegram = config.Platform{Token: config.Secret(w.telegram.Token()), APIURL: w.telegram.URL(), Chats: []config.Chat{{ID: strconv.Itoa(group), Ops: true}}}
	c.Discord = config.Platform{Token: config.Secret(w.discord.Token()), APIURL: w.discord.URL(), Chats: []config.Chat{{ID: channel, Language: "zh", Timezone: "Asia/Shanghai"}}}
	sec, quotes, tceq := c.Sources["sec"], c.Sources["quotes"], c.Sources["tceq"]
	sec.BaseURL, sec.ArchiveURL = w.up.SEC().DataURL(), w.up.SEC().ArchiveURL()
	sec.CIKs = map[chokepoint.Symbol]string{"AAOI": "0001158114"}
	w.up.SEC().Company("0001158114", "APPLIED OPTOELECTRONICS, INC.", "AAOI")
	quotes.Symbols, quotes.OnlyInSession = []chokepoint.Symbol{"AAOI"}, false
	quotes.Providers = []config.Provider{{Name: "yahoo-chart", URL: w.up.Quotes().YahooURL()}}
	w.up.Quotes().Set("AAOI", "30.00", time.Now().Add(-time.Minute))
	w.up.Quotes().Edit("AAOI", func(l *upstreamtest.Listing) {
		for d := 10; d > 0; d-- {
			l.Bars = append(l.Bars, upstreamtest.DayBar{Day: time.Now().AddDate(0, 0, -d).Format(time.DateOnly), Open: "29", High: "31", Low: "29", Close: "30", Volume: 1000})
		}
	})
	tceq.Lists = map[string]string{"nsr": w.up.Permits("nsr").URL()}
	w.up.Permits("nsr").Set(
		upstreamtest.PermitRow{Applicant: "SOMEBODY ELSE LLC", Facility: "PLANT 1", Number: "100001", Received: "01/05/2026", Status: "Administratively Complete"},
		upstreamtest.PermitRow{Applicant: "ANOTHER FIRM INC", Facility: "PLANT 2", Number: "100002", Received: "01/06/2026", Status: "Administratively Complete"},
	)
	c.Sources = map[string]config.Source{"sec": sec, "quotes": quotes, "tceq": tceq}
	for name, primary := range map[string]bool{"city": true, "wire": false, "paper": false} {
		c.Sources[name] = config.Source{Kind: "feed", Enabled: true, Cron: "* * * * *", Timeout: config.Duration(10 * time.Second), URLs: []string{w.up.Feed(name).URL()}, Publisher: name, Primary: primary}
		w.up.Feed(name).Add(upstreamtest.Item{GUID: "old-" + name, Title: "AAOI breaks ground in Sugar Land", Link: "https://example.com/old-" + name, Published: time.Now().Add(-72 * time.Hour)})
	}
	w.cfg = c
	return w
}

// tick is a schedule that comes all the time, so that stories need not wait
// for the minute.
type tick time.Duration

func (d tick) Next(t time.Time) time.Time { return t.Add(time.Duration(d)) }

// run is the program while it runs.
type run struct {
	app  *App
	stop func()
}

// start starts the whole program and waits until every source was asked once.
func (w *world) start() *run {
	w.t.Helper()
	env := Env{Version: "test", Lookup: func(string) (string, bool) { return "", false }, In: strings.NewReader(""), Out: io.Discard, Err: io.Discard, Now: time.Now}
	log := slog.New(slog.NewTextHandler(w.t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	ctx, cancel := context.WithCancel(context.Background())
	a, err := New(ctx, env, w.cfg, log)
	if err != nil {
		cancel()
		w.t.Fatal(err)
	}
	p := a.plan.Load()
	for i := range p.sources {
		p.sources[i].Schedule, p.sources[i].Jitter = tick(300*time.Millisecond), 0
	}
	p.runner = a.runner(p)
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	r := &run{app: a}
	var once bool
	r.stop = func() {
		if once {
			return
		}
		once = true
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("the program ended with %v", err)
		}
		if err := a.Close(); err != nil {
			w.t.Errorf("closing: %v", err)
		}
	}
	w.t.Cleanup(r.stop)
	select {
	case <-p.runner.FirstRound():
	case <-time.After(30 * time.Second):
		w.t.Fatal("the first round never ended")
	}
	return r
}

// judged says whether a watcher has ticked since AAOI had that price, and all
// that is owed was sent.
func (r *run) judged(watcher, price string) bool {
	ctx := context.Background()
	quotes, err := r.app.store.Quotes(ctx)
	if err != nil || len(quotes) != 1 || quotes[0].Price.String() != price {
		return false
	}
	ticks, err := r.app.store.Ticks(ctx)
	if err != nil {
		return false
	}
	ticked := slices.ContainsFunc(ticks, func(t chokepoint.TickReport) bool {
		return t.Watcher == watcher && t.Judged > 0 && t.Began.After(quotes[0].Seen)
	})
	d, err := r.app.store.Depth(ctx, time.Now())
	return err == nil && ticked && d.Spreads == 0 && d.Pending == 0
}

// news puts an item at the head of a feed.
func (w *world) news(feed, title, text string) {
	w.up.Feed(feed).Add(upstreamtest.Item{GUID: feed + title, Title: title, Link: "https://example.com/" + feed, Description: text, Published: time.Now()})
}

// until waits for something to be so.
func (w *world) until(what string, cond func() bool) {
	w.t.Helper()
	deadline := time.Now().Add(40 * time.Second)
	for !cond() {
		if time.Now().After(deadline) {
			var all []string
			for _, m := range w.telegram.Messages(group) {
				all = append(all, m.Text)
			}
			w.t.Fatalf("never: %s; Telegram shows %q, Discord %+v", what, all, w.discord.Shown(channel))
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// texts are what the Telegram group reads.
func (w *world) texts() []string {
	var out []string
	for _, m := range w.telegram.Messages(group) {
		out = append(out, m.Text)
	}
	return out
}

func TestANewPlantIsToldOnceWithItsSourceAndItsRisk(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		w.start()
		if got := w.texts(); len(got) != 0 {
			t.Fatalf("the first visit was not silent: %q", got)
		}
		w.news("paper", "Applied Optoelectronics delays equipment at its Sugar Land, Texas plant", "Applied Optoelectronics (AAOI) said equipment installation at its Sugar Land, Texas facility is delayed to the second half.")
		w.until("the alert in both chats", func() bool { return len(w.telegram.Messages(group)) == 1 && len(w.discord.Shown(channel)) == 1 })
		en, zh := w.telegram.Messages(group)[0], w.discord.Shown(channel)[0]
		if !strings.Contains(en.Text, "paper") || !strings.Contains(zh.Text, "来源") {
			t.Errorf("the source is missing:\n%s\n%s", en.Text, zh.Text)
		}
		// A second outlet tells the same: the card changes, nobody is pinged.
		w.news("wire", "AAOI: equipment at Sugar Land, Texas plant delayed", "Applied Optoelectronics says equipment installation at the Sugar Land, Texas facility will be delayed.")
		w.until("the card names both", func() bool {
			m := w.telegram.Messages(group)
			return len(m) == 1 && m[0].Edits > 0 && strings.Contains(m[0].Text, "wire")
		})
		if n := len(w.discord.Shown(channel)); n != 1 {
			t.Errorf("Discord shows %d messages", n)
		}
		if b := w.discord.Breaches(); len(b) > 0 {
			t.Errorf("Discord was wronged: %q", b)
		}
	})
}

func TestABullishAlertCarriesARisk(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		w.start()
		w.up.SEC().File("0001158114", upstreamtest.Filing{
			Accession: "0001158114-26-000077", Form: "8-K", Items: []string{"1.01", "9.01"}, Accepted: time.Now(),
			Document: "<html><body><p>Item 1.01 Entry into a Material Definitive Agreement. Applied Optoelectronics, Inc. entered into a five-year supply agreement with Oracle Corporation under which Oracle commits to purchase up to $2 billion of optical transceivers.</p></body></html>",
		})
		w.until("the agreement", func() bool { return len(w.telegram.Messages(group)) == 1 })
		text := w.telegram.Messages(group)[0].Text
		for _, want := range []string{"Oracle", "$2B", "Cold water", "★ SEC"} {
			if !strings.Contains(text, want) {
				t.Errorf("lacks %q:\n%s", want, text)
			}
		}
	})
}

func TestAPriceRuleFiresOnceAndWithItsQuote(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		r := w.start()
		if err := w.telegram.Polling(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.telegram.Say(group, member, "/alert AAOI below 20 once")
		w.until("a member is refused", func() bool {
			return slices.ContainsFunc(w.texts(), func(s string) bool { return strings.Contains(s, "only admins") })
		})
		w.telegram.Say(group, admin, "/alert AAOI below 20 once")
		w.until("the rule is taken", func() bool {
			return slices.ContainsFunc(w.texts(), func(s string) bool { return strings.Contains(s, "AAOI below 20 once") })
		})
		before := len(w.texts())
		w.up.Quotes().Set("AAOI", "19.50", time.Now())
		fired := func() (n int) {
			for _, m := range w.telegram.Messages(group)[before:] {
				if strings.Contains(m.Text, "below 20 once") {
					n++
				}
			}
			return n
		}
		w.until("the rule fires", func() bool { return fired() == 1 })
		w.up.Quotes().Set("AAOI", "19.10", time.Now().Add(time.Second))
		w.until("the next price is judged, and nothing is owed for it", func() bool { return r.judged("price-thresholds", "19.1") })
		if fired() != 1 {
			t.Errorf("fired %d times", fired())
		}
	})
}

func TestStatusAndRisksAnswerTheSameOnBothPlatforms(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		w.up.Fail("www.tceq.texas.gov", upstreamtest.Challenged)
		w.start()
		if err := w.telegram.Polling(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.telegram.Say(group, member, "/status")
		w.until("an answer", func() bool { return len(w.texts()) == 1 })
		status := w.texts()[0]
		for _, want := range []string{"AAOI", "5 of 6 sources answered", "tceq FAILED"} {
			if !strings.Contains(status, want) {
				t.Errorf("/status lacks %q:\n%s", want, status)
			}
		}
		w.telegram.Say(group, member, "/risks")
		w.until("the risks", func() bool { return len(w.texts()) == 2 })
		if got := strings.Count(w.texts()[1], "\n"); got < 6 {
			t.Errorf("/risks has %d lines:\n%s", got, w.texts()[1])
		}
		w.until("Discord is connected", func() bool {
			menu, _ := w.discord.Commands()
			return len(menu) > 10 && w.discord.Sessions().Live > 0
		})
		w.discord.UseCommand(channel, discordtest.Person{ID: "1002"}, "status")
		w.until("the answer in Discord", func() bool {
			return slices.ContainsFunc(w.discord.Shown(channel), func(m discordtest.Shown) bool { return strings.Contains(m.Text, "tceq") && !m.Waiting })
		})
	})
}

func TestARestartTellsNothingAgainAndLosesNothing(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		r := w.start()
		// Telegram is away while it happens.
		w.telegram.FailPage(3)
		w.news("paper", "Applied Optoelectronics halts construction of Sugar Land, Texas plant", "AAOI has halted construction of its Sugar Land, Texas facility.")
		w.until("Discord tells it", func() bool { return len(w.discord.Shown(channel)) == 1 })
		r.stop()
		w.start()
		w.until("Telegram is told after the restart", func() bool { return len(w.telegram.Messages(group)) == 1 })
		w.news("wire", "Lumentum to present at a conference", "Nothing of note.")
		w.until("the next round", func() bool { return len(w.up.Requests("feeds/wire")) > 6 })
		if a, b := len(w.telegram.Messages(group)), len(w.discord.Shown(channel)); a != 1 || b != 1 {
			t.Errorf("Telegram shows %d and Discord %d messages, want one each: %q", a, b, w.texts())
		}
	})
}

func TestAReloadIsTakenOverWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "sqlite:"+filepath.Join(t.TempDir(), "state.db"))
	r := w.start()
	old := r.app.plan.Load()
	bad := w.cfg
	bad.Watchers = map[string]config.Watcher{"p": {Kind: "price", Enabled: true, Cron: "* * * * *", Rules: []string{"AAOI wobbles"}}}
	if _, err := r.app.newPlan(bad); err == nil || !IsMistake(err) {
		t.Errorf("a rule that cannot be read was taken: %v", err)
	}
	good := w.cfg
	good.Sources = map[string]config.Source{"wire": w.cfg.Sources["wire"]}
	p, err := r.app.newPlan(good)
	if err != nil || len(p.sources) != 1 || r.app.plan.Load() != old {
		t.Errorf("%v", err)
	}
}

var _ watchers.Schedule = tick(0)
