package commands

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/chokepoint-bot/chokepoint/bot"
	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/internal/i18n"
	"github.com/chokepoint-bot/chokepoint/internal/thesis"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var (
	now      = time.Date(2026, 11, 24, 14, 41, 0, 0, time.UTC) // 09:41 in New York
	group    = chokepoint.ChatID{Platform: chokepoint.Telegram, ID: "-100"}
	stranger = chokepoint.ChatID{Platform: chokepoint.Discord, ID: "999"}
	catalog  = i18n.Must()
)

func ago(d time.Duration) time.Time { return now.Add(-d) }

func dec(s string) chokepoint.Decimal {
	d, err := chokepoint.ParseDecimal(s)
	if err != nil {
		panic(err)
	}
	return d
}

func text(en, zh string) thesis.Text { return thesis.Text{"en": en, "zh": zh} }

const day = 24 * time.Hour

// lasers is an invented thesis.
func lasers() *thesis.Thesis {
	return &thesis.Thesis{
		ID: "cw-laser", Title: text("CW-laser chokepoint", "CW 激光瓶颈"),
		Claim: text("Whoever makes the lasers sets the pace.", "谁能造激光器，谁就决定节奏。"),
		Companies: []thesis.Company{
			{Symbol: "AAOI", Name: text("Applied Optoelectronics", "应用光电")},
			{Symbol: "SIVE.ST", Name: text("Sivers", "Sivers")},
			{Name: text("Microsoft", "微软")},
		},
		Signals: []thesis.Signal{
			{ID: "texas", Title: text("AAOI Texas", "AAOI 德州"), Watcher: "aaoi-texas"},
			{ID: "lta", Title: text("Next LTA", "下一份长协"), Watcher: "hyperscaler-lta"},
		},
		Catalysts: []thesis.Catalyst{
			{ID: "cpo", Title: text("CPO is adopted", "CPO 落地"), Short: text("CPO", "CPO"), Why: text("More lasers per switch.", "每台交换机用更多激光器。"), Against: []string{"lpo"}, Symbols: []chokepoint.Symbol{"AAOI"}},
			{ID: "amd-lta", Title: text("AMD signs an LTA", "AMD 签长协"), Short: text("AMD LTA", "AMD 长协"), Against: []string{"runup"}},
			{ID: "luxnet", Title: text("Luxnet ramps", "华星光放量"), Short: text("Luxnet", "华星光"), Against: []string{"lpo"}},
		},
		Risks: []thesis.Risk{
			{ID: "runup", Title: text("Prices ran ahead", "股价透支"), Caution: text("Much is priced in.", "预期已在价内。"), Symbols: []chokepoint.Symbol{"AAOI"}},
			{ID: "lpo", Title: text("LPO instead of CW", "LPO 取代 CW"), Caution: text("LPO needs no CW laser.", "LPO 不需要 CW 激光器。")},
			{ID: "macro", Title: text("Macro", "宏观"), Caution: text("Rates.", "利率。")},
		},
	}
}

func filled() *desk {
	doc := func(title, by string, at time.Time) chokepoint.Evidence {
		return chokepoint.Evidence{URL: "https://example.org/" + strings.ReplaceAll(title, " ", "-"), Publisher: by, Title: title, Published: at, Primary: by == "SEC"}
	}
	site := doc("Plant construction begins", "SEC", ago(12*day))
	return &desk{
		chats: map[chokepoint.ChatID]chokepoint.Chat{
			group: {
				ID: group, Title: "Lasers", Language: "en", Zone: "America/New_York", Topics: []chokepoint.Topic{"aaoi-texas", "ops", "price-thresholds"},
				Quiet: chokepoint.QuietHours{From: 22 * 60, To: 7 * 60},
			},
		},
		rules: []chokepoint.Rule{
			{Chat: group, ID: "1", Symbol: "AAOI", Text: "below 20 once", Made: ago(9 * day), Fired: ago(8 * day), Firings: 1, Done: true},
			{Chat: group, ID: "2", Symbol: "AAOI", Text: "moves 8% in 1d", Made: ago(5 * day), Fired: ago(3 * time.Hour), Firings: 4},
			{Chat: group, ID: "4", Symbol: "SIVE.ST", Text: "above 120 until 2026-12-01", Made: ago(day)},
			{ID: "c0nf", Symbol: "AAOI", Text: "swings 12%"},
			{Chat: stranger, ID: "1", Symbol: "AAOI", Text: "above 500"},
		},
		alerts: []chokepoint.Alert{
			{ID: "0ldst0ry", Story: "0ldst0ry", Kind: chokepoint.AlertMilestone, Topic: "aaoi-texas", Symbols: []chokepoint.Symbol{"AAOI"}, Headline: "AAOI leases a second hall", At: ago(40 * day), Seen: ago(40 * day)},
			{ID: "pr1vate0", Story: "pr1vate0", Kind: chokepoint.AlertPrice, Topic: "price-thresholds", Headline: "another chat's rule fired", At: ago(2 * day), Seen: ago(2 * day), Only: []chokepoint.ChatID{stranger}},
			{
				ID: "k7f3q2ma", Story: "k7f3q2ma", Kind: chokepoint.AlertMilestone, Topic: "aaoi-texas", Score: 92, Scores: chokepoint.Scores{Importance: 95, Credibility: 90, Corroboration: 70},
				Direction: chokepoint.Positive, Symbols: []chokepoint.Symbol{"AAOI"}, Headline: "AAOI breaks ground on its Sugar Land plant",
				Happened: ago(13 * day), Seen: ago(12 * day), At: ago(12*day - time.Minute), Catalyst: "cpo", Sources: 7, Owners: 3,
				Why:      []chokepoint.Reason{{Key: "anchor", Args: chokepoint.Facts{"text": "Sugar Land"}}, {Key: "action", Args: chokepoint.Facts{"text": "broke ground"}}},
				Risks:    []chokepoint.RiskNote{{ID: "runup", State: "high", Facts: chokepoint.Facts{"reading": "runup", "symbol": "AAOI", "year": "412.3"}}},
				Evidence: []chokepoint.Evidence{site, doc("AAOI starts work", "GlobeNewswire", ago(12*day))},
			},
			{ID: "0psnews0", Story: "0psnews0", Kind: chokepoint.AlertOps, Topic: chokepoint.TopicOps, Headline: "source sec fails", At: ago(2 * time.Hour), Seen: ago(2 * time.Hour)},
		},
		posted: []chokepoint.Posting{{Chat: group, Story: "k7f3q2ma", Alert: "k7f3q2ma", Message: "77"}},
		quotes: []chokepoint.Quote{
			{Symbol: "AAOI", Price: dec("135.76"), Prev: dec("140.1"), High: dec("141"), Low: dec("133.2"), Currency: "USD", At: ago(2 * time.Minute), Session: chokepoint.SessionRegular, Provider: "yahoo-spark"},
			{Symbol: "SIVE.ST", Price: dec("98.4"), Prev: dec("97.23"), Currency: "SEK", At: ago(17 * time.Minute), Delayed: 15 * time.Minute, Session: chokepoint.SessionRegular, Provider: "yahoo"},
			{Symbol: "^SOX", Price: dec("9553.28"), At: ago(17 * time.Hour), Session: chokepoint.SessionClosed, Provider: "nasdaq"},
		},
		bars: []chokepoint.Bar{
			{Symbol: "AAOI", Day: "2026-11-19", Open: dec("130"), High: dec("139"), Low: dec("129"), Close: dec("138"), Volume: 9_000_000, Currency: "USD"},
			{Symbol: "AAOI", Day: "2026-11-20", Open: dec("138"), High: dec("142"), Low: dec("136"), Close: dec("140.1"), Volume: 8_000_000, Currency: "USD"},
		},
		cards: []chokepoint.Card{
			{Kind: chokepoint.CardSite, ID: "aaoi-texas", State: "construction", Since: ago(12 * day), Updated: ago(2 * time.Hour), Latest: ago(12 * day), Count: 9, Evidence: []chokepoint.Evidence{site}, Alert: "k7f3q2ma"},
			{Kind: chokepoint.CardAgreement, ID: "NVIDIA×LITE", State: "filed", Since: ago(266 * day), Updated: ago(day), Latest: ago(266 * day), Facts: chokepoint.Facts{"amount": "2000000000 USD"}, Evidence: []chokepoint.Evidence{doc("NVIDIA invests", "NVIDIA", ago(266*day))}},
			{Kind: chokepoint.CardAgreement, ID: "NVIDIA×COHR", State: "confirmed", Since: ago(266 * day), Updated: ago(day), Latest: ago(266 * day)},
			{Kind: chokepoint.CardAgreement, ID: "微软×AAOI", State: "rumour", Since: ago(5 * day), Updated: ago(day), Latest: ago(5 * day)},
			{Kind: chokepoint.CardCatalyst, ID: "cpo", State: "moving", Since: ago(20 * day), Updated: ago(time.Hour), Latest: ago(3 * day), Count: 4, Evidence: []chokepoint.Evidence{doc("CPO switches ship", "TrendForce", ago(3*day))}, Alert: "k7f3q2ma"},
			{Kind: chokepoint.CardCatalyst, ID: "luxnet", State: "waiting", Updated: ago(time.Hour)},
			{Kind: chokepoint.CardRisk, ID: "runup", State: "high", Trend: chokepoint.Positive, Since: ago(30 * day), Updated: ago(20 * time.Minute), Latest: ago(20 * time.Minute), Facts: chokepoint.Facts{"reading": "runup", "symbol": "AAOI", "year": "412.3"}},
			{Kind: chokepoint.CardRisk, ID: "lpo", State: "normal", Since: ago(90 * day), Updated: ago(time.Hour), Latest: ago(21 * day), Count: 2, Facts: chokepoint.Facts{"reading": "evidence", "count": "2"}, Evidence: []chokepoint.Evidence{doc("LPO gains ground", "DIGITIMES", ago(21*day))}},
		},
		health: []chokepoint.Health{
			{Source: "sec", Kind: "edgar", Class: chokepoint.NotAsked, Err: "contact: set an e-mail address", Tried: ago(time.Minute), Next: now.Add(50 * time.Second)},
			{Source: "quotes", Kind: "quotes", Class: chokepoint.OKNew, Tried: ago(time.Minute), Good: ago(time.Minute), New: ago(time.Minute), Next: now.Add(4 * time.Minute)},
			{Source: "tceq", Kind: "permits", Class: chokepoint.OKUnchanged, Tried: ago(2 * time.Hour), Good: ago(2 * time.Hour), New: ago(41 * day), Next: now.Add(40 * time.Second)},
			{Source: "trendforce", Kind: "feed", Class: chokepoint.Blocked, Err: "403", Tried: ago(time.Hour), Good: ago(26 * time.Hour), Failures: 9},
			{Source: "removed", Kind: "feed", Class: chokepoint.Blocked},
		},
		ticks: []chokepoint.TickReport{
			{Watcher: "aaoi-texas", Began: ago(3 * time.Minute), Judged: 4, Alerts: 0, Next: now.Add(19 * time.Minute)},
			{Watcher: "hyperscaler-lta", Began: ago(5 * time.Minute), Err: "panic", Failures: 3},
			{Watcher: "price-thresholds", Began: ago(30 * time.Second), Judged: 12, Alerts: 1},
		},
		dead:  []chokepoint.Delivery{{ID: "0123456789abcdefghjk", Alert: "k7f3q2ma", Chat: stranger, Queued: ago(3 * day), Attempts: 9, LastErr: "chat-gone: kicked", Dead: ago(2 * day)}},
		depth: chokepoint.Depth{Pending: 3, Spreads: 1, Dead: 1, Oldest: 40 * time.Second},
		marks: map[string]string{},
	}
}

func handler(d Desk) *Handler {
	return New(Config{
		Desk: d, Thesis: lasers(), Words: catalog, Render: render{}, Now: func() time.Time { return now }, Version: "1.2.3",
		Watch: []chokepoint.Symbol{"AAOI", "SIVE.ST", "^SOX", "LITE"},
		Topics: []Topic{
			{Name: "aaoi-texas", Kind: "expansion"}, {Name: "hyperscaler-lta", Kind: "lta"},
			{Name: "price-thresholds", Kind: "price"}, {Name: "catalysts-risks", Kind: "thesis"},
		},
		Sources: []string{"tceq", "sec", "quotes", "trendforce", "ir-aaoi"}, Zone: "America/New_York",
	})
}

// ask has a person of a chat say something; in a group as one of its admins.
func ask(h *Handler, chat chokepoint.ChatID, said string) bot.Answer {
	return h.Handle(context.Background(), bot.Inbound{
		Chat: chat, User: "7", Group: true, Text: said, At: now,
		Admin: func(context.Context) (bool, error) { return true, nil },
	})
}

// shown is an answer as a reader of golden files needs it.
func shown(a bot.Answer) string {
	var b strings.Builder
	m := a.Message
	if m.Title != "" {
		b.WriteString("# " + m.Title + "\n")
	}
	for _, l := range m.Lines {
		if l.Label != "" {
			b.WriteString("[" + l.Label + "] ")
		}
		if l.Mono {
			b.WriteString("| ")
		}
		for _, s := range l.Spans {
			b.WriteString(s.Text)
			if s.URL != "" {
				b.WriteString(" (" + s.URL + ")")
			}
		}
		b.WriteString("\n")
	}
	if m.Image != nil {
		b.WriteString("{PNG: " + m.Alt + "}\n")
	}
	if m.Footer != "" {
		b.WriteString("— " + m.Footer + "\n")
	}
	for _, act := range m.Actions {
		b.WriteString("  [" + act.Label + "] " + act.Command + "\n")
	}
	if a.Discuss != "" {
		b.WriteString("{thread under " + string(a.Discuss) + ": " + a.Thread + "}\n")
	}
	return b.String()
}

// conversations is every command as people use it, and misuse it. Each starts
// from the same store.
var conversations = map[string][]string{
	"status":   {"/status", "/status AAOI", "/status cpo", "/status AMD LTA", "/status lta", "/status texas", "/status lpo", "/status LITE", "/status luxent", "/status nonsense"},
	"risks":    {"/risks", "/risks 1", "/risks macro", "/risks runpu", "/risks 9"},
	"lta":      {"/lta"},
	"price":    {"/price", "/price AAOI", "/price sive.st sox ZZZZ LITE"},
	"chart":    {"/chart AAOI 1mo", "/chart LITE", "/chart AAIO", "/chart ZZZZ", "/chart AAOI 7y", "/chart"},
	"alert":    {"/alert AAOI below 20 once", "/alert AAOI 跌破 20 一次", "/alert aaoi moves 8%", "/alert sox above 9,000 every 1h until Friday", "/alert AAOI bellow 20", "/alert ZZZZ below 20", "/alert AAOI", "/alert"},
	"rules":    {"/rules", "/unalert 4", "/rules", "/unalert 99", "/unalert"},
	"alerts":   {"/alerts", "/alerts aaoi-texas", "/alerts ops", "/alerts aaoi-texsa", "/alerts nonsense"},
	"why":      {"/why k7f3q2ma", "/why K7F3Q2MA", "/why pr1vate0", "/why nothere", "/why"},
	"discuss":  {"/discuss k7f3q2ma", "/discuss 0ldst0ry", "/discuss"},
	"votes":    {"/useful k7f3q2ma", "/useful k7f3q2ma", "/noise k7f3q2ma", "/noise nothere"},
	"follow":   {"/follow", "/follow catalysts-risks", "/unfollow aaoi-texas", "/unfollow all", "/follow all", "/follow ops", "/follow aaoi-texa", "/unfollow"},
	"mute":     {"/mute", "/mute 24h", "/mute story k7f3q2ma", "/settings", "/mute off", "/mute 2 days", "/mute forever", "/mute 31d", "/mute story"},
	"quiet":    {"/quiet", "/quiet 23-6:30", "/quiet off", "/quiet 25:00-26:00", "/quiet 7:00-7:00", "/quiet never"},
	"lang":     {"/lang", "/lang zh", "/lang en", "/lang sv"},
	"tz":       {"/tz", "/tz Asia/Shanghai", "/tz 台北", "/tz new york", "/tz shangai", "/tz Local", "/tz ../etc/passwd"},
	"settings": {"/settings"},
	"health":   {"/health"},
	"help":     {"/help", "/start", "/help alert", "/help /mute", "/help statsu", "/help nonsense", ""},
	"ops":      {"/dead", "/requeue 0123456789abcdefghjk", "/requeue nothere", "/outbox"},
	"mention":  {"AAOI?", "aaoi sive.st?", "应用光电", "status", "状态", "风险", "价格 AAOI", "AAOI below 20", "/status@chokepoint_bot", "/statsu", "/xyzzy", "what is the meaning of this"},
}

func TestConversations(t *testing.T) {
	for _, lang := range i18n.Languages {
		for name, lines := range conversations {
			t.Run(name+"."+string(lang), func(t *testing.T) {
				t.Parallel()
				d := filled()
				c := d.chats[group]
				c.Language = lang
				d.chats[group] = c
				h := handler(d)
				var b strings.Builder
				for _, said := range lines {
					fmt.Fprintf(&b, "> %s\n%s\n", said, shown(ask(h, group, said)))
				}
				got := b.String()
				if bad := strings.Contains(got, "[commands.") || strings.Contains(got, "[price.") || strings.Contains(got, "<no value>") || strings.Contains(got, "%!"); bad {
					t.Errorf("a wording lacks a message or an argument:\n%s", got)
				}
				file := filepath.Join("testdata", name+"."+string(lang)+".golden")
				if *update {
					if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(string(want), got); d != "" {
					t.Error(d)
				}
			})
		}
	}
}

func TestEveryCommandIsInAConversationAndWorded(t *testing.T) {
	h := handler(filled())
	all := fmt.Sprint(conversations)
	for _, c := range h.commands {
		if !strings.Contains(all, "/"+c.name) {
			t.Errorf("/%s is in no conversation", c.name)
		}
		for _, lang := range i18n.Languages {
			if s := catalog.T(lang, "commands."+c.name+".example"); h.byWord[strings.TrimPrefix(strings.Fields(s)[0], "/")] == nil {
				t.Errorf("the example of /%s in %s is no command: %s", c.name, lang, s)
			}
		}
		for _, alias := range c.aliases {
			if alias != strings.ToLower(alias) {
				t.Errorf("alias %s of /%s is not folded", alias, c.name)
			}
			if h.byWord[alias].name != c.name {
				t.Errorf("alias %s means both /%s and /%s", alias, c.name, h.byWord[alias].name)
			}
		}
	}
}

func TestTheMenuFitsThePlatforms(t *testing.T) {
	seen := map[string]bool{}
	for _, spec := range handler(filled()).Menu() {
		if seen[spec.Name] || spec.Name == "" || strings.Trim(spec.Name, "abcdefghijklmnopqrstuvwxyz") != "" {
			t.Errorf("name %q", spec.Name)
		}
		seen[spec.Name] = true
		optional := false
		for _, help := range append([]map[chokepoint.Language]string{spec.Help}, helps(spec.Params)...) {
			for _, lang := range i18n.Languages {
				if n := utf8.RuneCountInString(help[lang]); n == 0 || n > 100 || strings.HasPrefix(help[lang], "[") {
					t.Errorf("/%s: help in %s: %q", spec.Name, lang, help[lang])
				}
			}
		}
		for _, p := range spec.Params {
			if p.Required && optional {
				t.Errorf("/%s: %s is required behind an optional one", spec.Name, p.Name)
			}
			optional = optional || !p.Required
			if len(p.Choices) > 25 || p.Name == "" || strings.Trim(p.Name, "abcdefghijklmnopqrstuvwxyz") != "" {
				t.Errorf("/%s: parameter %+v", spec.Name, p)
			}
		}
	}
}

func helps(ps []bot.Param) (all []map[chokepoint.Language]string) {
	for _, p := range ps {
		all = append(all, p.Help)
	}
	return all
}

func TestOnlyAdminsChangeAGroup(t *testing.T) {
	changes := []string{
		"/alert AAOI below 20", "/unalert 2", "/follow all", "/unfollow all", "/mute 24h", "/quiet off", "/lang zh", "/tz UTC",
		"/requeue 0123456789abcdefghjk", "AAOI below 20", "静音 24h",
	}
	reads := []string{"/status", "/risks", "/price", "/rules", "/follow", "/mute", "/quiet", "/lang", "/tz", "/settings", "/why k7f3q2ma", "/useful k7f3q2ma", "/dead", "/discuss k7f3q2ma"}
	for name, tc := range map[string]struct {
		admin func(context.Context) (bool, error)
		want  string
	}{
		"someone else":                     {func(context.Context) (bool, error) { return false, nil }, "only admins"},
		"the platform does not say":        {func(context.Context) (bool, error) { return true, errors.New("timeout") }, "could not find out"},
		"the adapter has no notion of one": {nil, "only admins"},
	} {
		for _, said := range changes {
			d := filled()
			a := handler(d).Handle(context.Background(), bot.Inbound{Chat: group, Group: true, User: "7", Text: said, Admin: tc.admin})
			if !strings.Contains(a.Message.PlainText(), tc.want) {
				t.Errorf("%s, %s: %s", name, said, a.Message.PlainText())
			}
			want := filled()
			if diff := cmp.Diff(want.chats, d.chats) + cmp.Diff(want.rules, d.rules); diff != "" {
				t.Errorf("%s changed with %s: %s", name, said, diff)
			}
		}
		for _, said := range reads {
			a := handler(filled()).Handle(context.Background(), bot.Inbound{Chat: group, Group: true, User: "7", Text: said, Admin: tc.admin})
			if s := a.Message.PlainText(); strings.Contains(s, tc.want) {
				t.Errorf("%s may not even ask %s: %s", name, said, s)
			}
		}
	}
}

func TestInAPrivateChatWhoeverSpeaksIsAdmin(t *testing.T) {
	d := filled()
	a := handler(d).Handle(context.Background(), bot.Inbound{Chat: stranger, Text: "/quiet 22-7", Title: "Ann", Locale: "zh-Hans"})
	c := d.chats[stranger]
	if c.Quiet != (chokepoint.QuietHours{From: 22 * 60, To: 7 * 60}) || c.Title != "Ann" || c.Language != "zh" || c.Zone != "America/New_York" || !c.Changed.Equal(now) {
		t.Errorf("%+v after %s", c, a.Message.PlainText())
	}
}

func TestAnUnknownChatIsAnsweredInThePersonsLanguage(t *testing.T) {
	d := filled()
	for locale, want := range map[string]string{"zh-CN": "还没有关注", "en-US": "follows nothing yet", "sv": "follows nothing yet", "": "follows nothing yet"} {
		for _, said := range []string{"/status", "/help", "/settings"} {
			a := handler(d).Handle(context.Background(), bot.Inbound{Chat: stranger, Text: said, Locale: locale})
			if s := a.Message.PlainText(); !strings.Contains(s, want) {
				t.Errorf("%s in %q does not say how to follow: %s", said, locale, s)
			}
		}
	}
	if _, known := d.chats[stranger]; known {
		t.Error("asking made the chat known")
	}
}

func TestOperatorsNewsStaysWithOperators(t *testing.T) {
	d := filled()
	h := handler(d)
	for _, said := range []string{"/dead", "/outbox", "/requeue 0123456789abcdefghjk", "/alerts ops", "/follow ops", "/why 0psnews0", "/why pr1vate"} {
		a := h.Handle(context.Background(), bot.Inbound{Chat: chokepoint.ChatID{Platform: "telegram", ID: "5"}, Text: said})
		if s := shown(a); strings.Contains(s, "kicked") || strings.Contains(s, "source sec") || strings.Contains(s, "owed again") || strings.Contains(s, "another chat") {
			t.Errorf("%s told a stranger: %s", said, s)
		}
	}
	if len(d.chats) != 1 {
		t.Error("a stranger follows the operators' news")
	}
}

func TestAVoteCountsOncePerPerson(t *testing.T) {
	d := filled()
	h := handler(d)
	vote := func(user, said string) {
		h.Handle(context.Background(), bot.Inbound{Chat: group, Group: true, User: user, Text: said})
	}
	vote("1", "/useful k7f3q2ma")
	vote("1", "/useful k7f3q2ma")
	vote("2", "/useful k7f3q2ma")
	vote("1", "/noise k7f3q2ma")
	if got := d.marks["verdicts:k7f3q2ma"]; got != "1 1" {
		t.Errorf("useful and noise: %s", got)
	}
	if got := d.marks["verdict:k7f3q2ma:telegram:1"]; got != "noise" {
		t.Errorf("the person's verdict: %s", got)
	}
}

func TestAChatHasAtMostFiftyRules(t *testing.T) {
	d := filled()
	d.rules = nil
	h := handler(d)
	for i := range maxRules {
		if s := ask(h, group, fmt.Sprintf("/alert AAOI below %d", i+1)); s.Message.Tone != bot.Good {
			t.Fatal(s.Message.PlainText())
		}
	}
	if s := ask(h, group, "/alert AAOI above 99").Message.PlainText(); !strings.Contains(s, "50 rules already") {
		t.Error(s)
	}
	ask(h, group, "/unalert 7")
	if s := ask(h, group, "/alert AAOI above 99"); s.Message.Tone != bot.Good {
		t.Error(s.Message.PlainText())
	}
	ids := map[string]bool{}
	for _, r := range d.rules {
		if ids[r.ID] {
			t.Errorf("two rules %s", r.ID)
		}
		ids[r.ID] = true
	}
}

func TestARuleMadeTwiceIsOne(t *testing.T) {
	d := filled()
	h := handler(d)
	n := len(d.rules)
	ask(h, group, "/alert AAOI below 25")
	ask(h, group, "/alert AAOI 跌破 25")
	if len(d.rules) != n+1 {
		t.Errorf("%d rules were made", len(d.rules)-n)
	}
	if r := d.rules[n]; r.Text != "below 25" || r.ID != "5" || r.Chat != group || !r.Made.Equal(now) || r.State != nil {
		t.Errorf("%+v", r)
	}
}

func TestAChatOfAnAlertIsMadeKnown(t *testing.T) {
	d := filled()
	ask(handler(d), stranger, "/alert AAOI below 25")
	if _, ok := d.chats[stranger]; !ok {
		t.Error("the rule's alerts could not be delivered")
	}
}

func TestMutedStoriesAreBounded(t *testing.T) {
	d := filled()
	c := d.chats[group]
	c.MutedStories = map[chokepoint.StoryID]time.Time{"over": ago(time.Hour)}
	for i := range maxMutedStories + 5 {
		c.MutedStories[chokepoint.StoryID(fmt.Sprint(i))] = now.Add(time.Duration(i+1) * time.Hour)
	}
	d.chats[group] = c
	ask(handler(d), group, "/mute story k7f3q2ma")
	got := d.chats[group].MutedStories
	if len(got) != maxMutedStories || got["over"] != (time.Time{}) || !got["k7f3q2ma"].Equal(now.Add(storyMute)) || got["0"] != (time.Time{}) {
		t.Errorf("%d stories, k7f3q2ma until %s", len(got), got["k7f3q2ma"])
	}
}

func TestAStoreThatIsAwayIsAdmitted(t *testing.T) {
	for name := range conversations {
		for _, said := range conversations[name] {
			d := filled()
			d.down = errors.New("connection refused to secret-host:6379")
			s := ask(handler(d), group, said).Message.PlainText()
			if !strings.Contains(s, "cannot reach my memory") || strings.Contains(s, "secret") {
				t.Errorf("%q: %s", said, s)
			}
		}
	}
}

func TestAFailedSourceIsNeverHidden(t *testing.T) {
	d := filled()
	s := ask(handler(d), group, "/status").Message.PlainText()
	for _, want := range []string{"2 of 5 sources answered", "trendforce FAILED for 26 h", "sec not asked", "ir-aaoi not asked yet", "watcher hyperscaler-lta FAILED"} {
		if !strings.Contains(s, want) {
			t.Errorf("%q is missing in\n%s", want, s)
		}
	}
	if strings.Contains(s, "removed") {
		t.Error("a source that is configured no more is told")
	}
}

// checked fails unless a is an answer that every platform can show.
func checked(t *testing.T, said string, a bot.Answer) {
	t.Helper()
	m := a.Message
	if m.PlainText() == "" {
		t.Fatalf("%q is not answered", said)
	}
	if n := units(m.PlainText()); n > maxAnswer {
		t.Fatalf("%q: %d units", said, n)
	}
	if len(m.Actions) > 10 {
		t.Fatalf("%q: %d actions", said, len(m.Actions))
	}
	for _, act := range m.Actions {
		if utf8.RuneCountInString(act.Label) > 40 || len(act.Command) > 60 || !strings.HasPrefix(act.Command, "/") || strings.ContainsFunc(act.Command, func(r rune) bool { return r > 0x7e || r < 0x20 }) {
			t.Fatalf("%q: action %+v", said, act)
		}
	}
	for _, l := range m.Lines {
		for _, s := range l.Spans {
			if bot.Neutral(s.Text) != s.Text || !utf8.ValidString(s.Text) {
				t.Fatalf("%q: a line holds what can do harm: %q", said, s.Text)
			}
			if s.URL != "" && !strings.HasPrefix(s.URL, "https://") && !strings.HasPrefix(s.URL, "http://") {
				t.Fatalf("%q: address %q", said, s.URL)
			}
		}
	}
}

func TestAnswersCanBeShownEverywhere(t *testing.T) {
	for _, lines := range conversations {
		h := handler(filled())
		for _, said := range lines {
			checked(t, said, ask(h, group, said))
		}
	}
}

func TestLongAnswersSayWhatIsLeftOut(t *testing.T) {
	d := filled()
	for i := range 200 {
		d.rules = append(d.rules, chokepoint.Rule{Chat: group, ID: fmt.Sprint(100 + i), Symbol: "AAOI", Text: fmt.Sprintf("below %d", i+1)})
	}
	a := ask(handler(d), group, "/rules")
	checked(t, "/rules", a)
	if s := a.Message.PlainText(); !strings.Contains(s, "more lines") {
		t.Error("nothing says that lines are left out")
	}
}

func FuzzHandle(f *testing.F) {
	for _, lines := range conversations {
		for _, said := range lines {
			f.Add(said, "en")
		}
	}
	for _, said := range []string{
		"/price @everyone <b>x</b> [a](javascript:1)", "/status \u202egnp.exe", "/why \x00\xff", "/alert " + strings.Repeat("9", 900), "//", "/", "@", "/@", "?",
		"/tz " + strings.Repeat("../", 60), "/quiet 99999999999999999999-1", "/mute 9999w", "/chart AAOI \n\n", "/follow " + strings.Repeat("all ", 300), "为什么 k7f3q2ma", "／status",
	} {
		f.Add(said, "zh")
	}
	f.Fuzz(func(t *testing.T, said, locale string) {
		h := handler(filled())
		for _, chat := range []chokepoint.ChatID{group, stranger} {
			a := h.Handle(context.Background(), bot.Inbound{
				Chat: chat, Group: true, User: said, Title: said, Text: said, Locale: locale,
				Admin: func(context.Context) (bool, error) { return true, nil },
			})
			checked(t, said, a)
		}
	})
}

func TestManyAtOnce(t *testing.T) {
	d := filled()
	h := handler(d)
	done := make(chan struct{})
	lines := slices.Concat(conversations["alert"], conversations["votes"], conversations["follow"], conversations["chart"], conversations["status"])
	for range 8 {
		go func() {
			defer func() { done <- struct{}{} }()
			for _, said := range lines {
				ask(h, group, said)
			}
		}()
	}
	for range 8 {
		<-done
	}
	ids := map[string]int{}
	for _, r := range d.rules {
		if r.Chat == group {
			ids[r.ID]++
		}
	}
	for id, n := range ids {
		if n > 1 {
			t.Errorf("%d rules %s", n, id)
		}
	}
}

// BenchmarkStatus answers /status from a full board: 40 catalysts, 20 risks,
// 60 agreements, 40 sources, 60 symbols.
func BenchmarkStatus(b *testing.B) {
	d := filled()
	cfg := handler(d).Config
	for i := range 60 {
		id := fmt.Sprintf("x%d", i)
		cfg.Thesis.Catalysts = append(cfg.Thesis.Catalysts[:min(len(cfg.Thesis.Catalysts), 39)], thesis.Catalyst{ID: id, Title: text(id, id), Short: text(id, id)})
		cfg.Watch = append(cfg.Watch, chokepoint.Symbol("S"+id))
		d.quotes = append(d.quotes, chokepoint.Quote{Symbol: chokepoint.Symbol("S" + id), Price: dec("12.5"), Prev: dec("12"), At: ago(time.Minute)})
		d.cards = append(d.cards,
			chokepoint.Card{Kind: chokepoint.CardCatalyst, ID: id, State: "moving", Updated: now, Latest: ago(day)},
			chokepoint.Card{Kind: chokepoint.CardAgreement, ID: "B" + id + "×S" + id, State: "filed", Updated: now, Latest: ago(day)})
		if i < 40 {
			cfg.Sources = append(cfg.Sources, id)
			d.health = append(d.health, chokepoint.Health{Source: id, Class: chokepoint.OKNew, Tried: ago(time.Minute), Good: ago(time.Minute), Next: now.Add(time.Minute)})
		}
	}
	h := New(cfg)
	b.ReportAllocs()
	for b.Loop() {
		if a := ask(h, group, "/status"); len(a.Message.Lines) < 6 {
			b.Fatal(a.Message.PlainText())
		}
	}
}
