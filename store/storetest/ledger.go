package storetest

import (
	"strconv"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/store"
)

// tick is a watcher's step.
func tick(l chokepoint.Lease, watcher string, p chokepoint.Position, alerts ...chokepoint.Alert) store.Step {
	return store.Step{
		Lease: l, Watcher: watcher, Position: p, State: []byte(`{"n":1}`), Alerts: alerts,
		Report: chokepoint.TickReport{Watcher: watcher, Began: at(1), Took: time.Second},
	}
}

var ledgerTests = []test{
	{"a watcher that never ticked remembers nothing", func(c *client) {
		cp, err := c.s.Checkpoint(c.ctx, "texas")
		c.ok(err, "checkpoint")
		c.same(cp, chokepoint.Checkpoint{}, "checkpoint")
		if cp.State != nil {
			c.Fatal("state is not nil before the first commit")
		}
		ts, err := c.s.Ticks(c.ctx)
		c.ok(err, "ticks")
		c.same(len(ts), 0, "ticks")
		b, err := c.s.Board(c.ctx)
		c.ok(err, "board")
		c.same(len(b), 0, "cards")
	}},
	{"a step is remembered whole", func(c *client) {
		l := c.lease("watcher/texas")
		c.record(at(1), step(c.lease("source/feed"), "feed", "", news("feed", "one", at(1))))
		_, p := c.readAll("", 10)
		a := everyField("fullfull")
		card := chokepoint.Card{
			Kind: chokepoint.CardRisk, ID: "runup", State: "elevated", Trend: chokepoint.Positive, Since: fine(at(-5)), Updated: fine(at(1)), Latest: fine(at(-1)), Count: 3,
			Facts: chokepoint.Facts{"reading": "runup", "year": "412.3"}, Evidence: a.Evidence, Alert: a.ID,
		}
		report := chokepoint.TickReport{Watcher: "texas", Began: fine(at(1)), Took: 12345, Judged: 4, Alerts: 1, Next: at(60), Err: "judge: odd", Failures: 2}
		s := store.Step{Lease: l, Watcher: "texas", Position: p, State: []byte("\x00\xffany bytes"), Cards: []chokepoint.Card{card}, Alerts: []chokepoint.Alert{a}, Report: report}
		c.commit(at(1), s)

		cp, err := c.s.Checkpoint(c.ctx, "texas")
		c.ok(err, "checkpoint")
		c.same(cp, chokepoint.Checkpoint{Position: p, State: s.State}, "checkpoint")
		ts, _ := c.s.Ticks(c.ctx)
		c.same(ts, []chokepoint.TickReport{report}, "ticks")
		b, _ := c.s.Board(c.ctx)
		c.same(b, []chokepoint.Card{card}, "board")
		got, err := c.s.Alert(c.ctx, a.ID)
		c.ok(err, "alert")
		c.same(got, a, "alert")
		c.same(c.depth(at(1)).Spreads, 1, "spreads")
	}},
	{"a nil state leaves the judge's as it was, an empty one does not", func(c *client) {
		l := c.lease("w")
		c.commit(at(1), tick(l, "texas", ""))
		s := tick(l, "texas", "")
		s.State = nil
		c.commit(at(2), s)
		cp, _ := c.s.Checkpoint(c.ctx, "texas")
		c.same(string(cp.State), `{"n":1}`, "state")
		s.State = []byte("{}")
		c.commit(at(3), s)
		cp, _ = c.s.Checkpoint(c.ctx, "texas")
		c.same(string(cp.State), `{}`, "state")
	}},
	{"a step under a lost lease leaves no trace", func(c *client) {
		mine := c.acquire(at(0), "w", "a", time.Minute)
		c.commit(at(1), tick(mine, "texas", ""))
		c.putRule(chokepoint.Rule{Chat: chatID("1"), ID: "r1", Symbol: "AAOI", Text: "below 20"})
		c.acquire(at(61), "w", "b", time.Minute)
		late := tick(mine, "texas", "", alert("latelate", 62))
		late.State = []byte("late")
		late.Cards = []chokepoint.Card{{Kind: chokepoint.CardRisk, ID: "runup", State: "high"}}
		late.Rules = []chokepoint.Rule{{Chat: chatID("1"), ID: "r1", Symbol: "AAOI", Text: "below 20", Firings: 1}}
		late.Report.Judged = 77
		c.fails(c.s.Commit(c.ctx, at(62), late), chokepoint.ErrLeaseLost, "commit when overtaken")

		cp, _ := c.s.Checkpoint(c.ctx, "texas")
		c.same(string(cp.State), `{"n":1}`, "state")
		b, _ := c.s.Board(c.ctx)
		c.same(len(b), 0, "cards")
		c.same(len(c.alerts(store.AlertQuery{})), 0, "alerts")
		c.same(c.depth(at(62)).Spreads, 0, "spreads")
		c.same(c.rules(chatID("1"))[0].Firings, 0, "firings")
		ts, _ := c.s.Ticks(c.ctx)
		c.same(ts[0].Judged, 0, "judged, by the last report")

		ran := c.acquire(at(200), "w2", "a", time.Minute)
		c.fails(c.s.Commit(c.ctx, at(260), tick(ran, "texas", "")), chokepoint.ErrLeaseLost, "commit when it has run out")
	}},
	{"repeating a step changes nothing", func(c *client) {
		l := c.lease("w")
		c.putChat(follower("1"))
		s := tick(l, "texas", "", alert("aaaaaaaa", 1), alert("bbbbbbbb", 1))
		s.Cards = []chokepoint.Card{{Kind: chokepoint.CardRisk, ID: "runup", State: "high", Updated: at(1)}}
		c.commit(at(1), s)
		c.spread(at(1))
		c.commit(at(1), s)
		c.spread(at(1))
		c.same(c.depth(at(1)), chokepoint.Depth{Pending: 2}, "depth")
		c.settle(at(1), c.grant(at(1)), chokepoint.Outcome{Kind: chokepoint.Sent})
		c.settle(at(1), c.grant(at(1)), chokepoint.Outcome{Kind: chokepoint.Sent})
		c.commit(at(1), s)
		c.spread(at(1))
		c.same(c.depth(at(1)), chokepoint.Depth{}, "depth after all was sent and the step repeated")
		b, _ := c.s.Board(c.ctx)
		c.same(b, s.Cards, "board")
		c.same(c.alerts(store.AlertQuery{}), []chokepoint.AlertID{"bbbbbbbb", "aaaaaaaa"}, "alerts")
	}},
	{"an alert whose ID is known is left alone", func(c *client) {
		l := c.lease("w")
		first := alert("aaaaaaaa", 1)
		first.Headline = "as first published"
		c.commit(at(1), tick(l, "texas", "", first))
		second := first
		second.Headline = "changed"
		c.commit(at(2), tick(l, "texas", "", second, alert("bbbbbbbb", 2)))
		got, err := c.s.Alert(c.ctx, "aaaaaaaa")
		c.ok(err, "alert")
		c.same(got, first, "alert")
		c.same(c.depth(at(2)).Spreads, 2, "spreads")
	}},
	{"cards replace those of the same kind and ID", func(c *client) {
		l := c.lease("w")
		s := tick(l, "texas", "")
		s.Cards = []chokepoint.Card{
			{Kind: chokepoint.CardSite, ID: "b", State: "announced"},
			{Kind: chokepoint.CardSite, ID: "a", State: "announced"},
			{Kind: chokepoint.CardAgreement, ID: "a", State: "rumour", Count: 5},
		}
		c.commit(at(1), s)
		s.Cards = []chokepoint.Card{{Kind: chokepoint.CardAgreement, ID: "a", State: "filed"}}
		c.commit(at(2), s)
		b, err := c.s.Board(c.ctx)
		c.ok(err, "board")
		c.same(b, []chokepoint.Card{
			{Kind: chokepoint.CardAgreement, ID: "a", State: "filed"},
			{Kind: chokepoint.CardSite, ID: "a", State: "announced"},
			{Kind: chokepoint.CardSite, ID: "b", State: "announced"},
		}, "board")
	}},
	{"ticks are by name", func(c *client) {
		for _, w := range []string{"lta", "aaoi-texas", "price"} {
			c.commit(at(1), tick(c.lease(w), w, ""))
		}
		ts, err := c.s.Ticks(c.ctx)
		c.ok(err, "ticks")
		c.same(len(ts), 3, "ticks")
		c.same([]string{ts[0].Watcher, ts[1].Watcher, ts[2].Watcher}, []string{"aaoi-texas", "lta", "price"}, "watchers")
	}},
	{"a large step is one step", func(c *client) {
		l := c.lease("w")
		var as []chokepoint.Alert
		for i := range 500 {
			as = append(as, everyField("big"+strconv.Itoa(i)))
		}
		c.commit(at(1), tick(l, "texas", "", as...))
		c.same(c.depth(at(1)).Spreads, 500, "spreads")
		c.same(len(c.alerts(store.AlertQuery{N: 1000})), 500, "alerts")
	}},
}

var ruleTests = []test{
	{"rules are a chat's, by when they were made", func(c *client) {
		full := chokepoint.Rule{
			Chat: chatID("1"), ID: "r2", Symbol: "AAOI", Text: "below 20 once", State: []byte(`{"armed":true}`), Made: fine(at(1)), Fired: fine(at(5)), Firings: 3, Done: true,
		}
		later := chokepoint.Rule{Chat: chatID("1"), ID: "r1", Symbol: "LITE", Text: "above 90", Made: at(9)}
		other := chokepoint.Rule{Chat: chatID("2"), ID: "r1", Symbol: "COHR", Text: "above 1", Made: at(0)}
		c.putRule(later)
		c.putRule(other)
		c.putRule(full)
		c.same(c.rules(chatID("1")), []chokepoint.Rule{full, later}, "rules")
		c.same(c.rules(chatID("3")), []chokepoint.Rule(nil), "rules of a chat that has none")
		later.Text = "above 95"
		c.putRule(later)
		c.same(c.rules(chatID("1")), []chokepoint.Rule{full, later}, "rules after a change")
		c.ok(c.s.DeleteRule(c.ctx, chatID("1"), "r2"), "delete rule")
		c.same(c.rules(chatID("1")), []chokepoint.Rule{later}, "rules after a deletion")
		c.fails(c.s.DeleteRule(c.ctx, chatID("1"), "r2"), chokepoint.ErrNotFound, "delete it again")
		c.same(c.rules(chatID("2")), []chokepoint.Rule{other}, "another chat's rules")
	}},
	{"the version changes when people change rules, and only then", func(c *client) {
		rs, v := c.allRules(0)
		c.same(len(rs), 0, "rules")
		step := func(what string, changes bool) {
			c.Helper()
			_, now := c.allRules(0)
			if changed := now != v; changed != changes {
				c.Fatalf("%s: version went from %d to %d", what, v, now)
			}
			v = now
		}
		if v == 0 {
			c.Fatal("version is 0, which is what those pass who know none")
		}
		r := chokepoint.Rule{Chat: chatID("1"), ID: "r1", Symbol: "AAOI", Text: "below 20", Made: at(1)}
		c.putRule(r)
		step("a rule was added", true)
		r.Text = "below 19"
		c.putRule(r)
		step("a rule was changed", true)
		s := tick(c.lease("w"), "price", "")
		s.Rules = []chokepoint.Rule{r}
		s.Rules[0].State, s.Rules[0].Firings = []byte("x"), 1
		c.commit(at(2), s)
		step("a step changed its state", false)
		c.putChat(follower("1"))
		step("a chat changed", false)
		c.ok(c.s.DeleteRule(c.ctx, chatID("1"), "r1"), "delete rule")
		step("a rule was deleted", true)
		c.fails(c.s.DeleteRule(c.ctx, chatID("1"), "r1"), chokepoint.ErrNotFound, "delete it again")
		conf := []chokepoint.Rule{{ID: "aaoi-20", Symbol: "AAOI", Text: "below 20"}}
		c.ok(c.s.SetRules(c.ctx, conf), "set rules")
		step("the configuration's rules were set", true)
		c.ok(c.s.SetRules(c.ctx, conf), "set rules")
		step("the same were set again", false)
		c.putRule(r)
		step("a rule was added", true)
		c.ok(c.s.MoveChat(c.ctx, at(3), chatID("1"), chatID("2")), "move chat")
		step("a chat with rules moved", true)
	}},
	{"all rules are every chat's and the configuration's that are not done, or nil if the version is known", func(c *client) {
		mine := chokepoint.Rule{Chat: chatID("1"), ID: "r1", Symbol: "AAOI", Text: "below 20", State: []byte("s")}
		done := chokepoint.Rule{Chat: chatID("1"), ID: "r2", Symbol: "AAOI", Text: "below 10 once", Done: true}
		conf := chokepoint.Rule{ID: "c1", Symbol: "^SOX", Text: "falls 5% in 1d"}
		c.putRule(mine)
		c.putRule(done)
		c.ok(c.s.SetRules(c.ctx, []chokepoint.Rule{conf}), "set rules")
		rs, v := c.allRules(0)
		byID := map[string]chokepoint.Rule{}
		for _, r := range rs {
			byID[r.ID] = r
		}
		c.same(byID, map[string]chokepoint.Rule{"r1": mine, "c1": conf}, "rules")
		rs, same := c.allRules(v)
		if rs != nil || same != v {
			c.Fatalf("with the version known: %d rules at %d, want nil at %d", len(rs), same, v)
		}
		rs, _ = c.allRules(v + 1)
		c.same(len(rs), 2, "rules for one who knows another version")
	}},
	{"a step changes the states of rules that are still the same", func(c *client) {
		same := chokepoint.Rule{Chat: chatID("1"), ID: "same", Symbol: "AAOI", Text: "below 20", Made: at(1)}
		reworded := chokepoint.Rule{Chat: chatID("1"), ID: "reworded", Symbol: "AAOI", Text: "below 30", Made: at(2)}
		resymboled := chokepoint.Rule{Chat: chatID("1"), ID: "resymboled", Symbol: "LITE", Text: "below 20", Made: at(3)}
		c.putRule(same)
		c.putRule(reworded)
		c.putRule(resymboled)
		c.ok(c.s.SetRules(c.ctx, []chokepoint.Rule{{ID: "c1", Symbol: "^SOX", Text: "falls 5% in 1d"}}), "set rules")
		s := tick(c.lease("w"), "price", "")
		fired := func(chat chokepoint.ChatID, id string, sym chokepoint.Symbol, text string) chokepoint.Rule {
			return chokepoint.Rule{Chat: chat, ID: id, Symbol: sym, Text: text, State: []byte("fired"), Fired: fine(at(9)), Firings: 1, Done: true, Made: at(99)}
		}
		s.Rules = []chokepoint.Rule{
			fired(chatID("1"), "same", "AAOI", "below 20"),
			fired(chatID("1"), "reworded", "AAOI", "below 20"),
			fired(chatID("1"), "resymboled", "AAOI", "below 20"),
			fired(chatID("1"), "deleted", "AAOI", "below 20"),
			fired(chatID("2"), "same", "AAOI", "below 20"),
			fired(chokepoint.ChatID{}, "c1", "^SOX", "falls 5% in 1d"),
		}
		c.commit(at(9), s)
		same.State, same.Fired, same.Firings, same.Done = []byte("fired"), fine(at(9)), 1, true
		c.same(c.rules(chatID("1")), []chokepoint.Rule{same, reworded, resymboled}, "rules")
		c.same(len(c.rules(chatID("2"))), 0, "rules of a chat that had none")
		c.same(c.rules(chokepoint.ChatID{})[0].Firings, 1, "firings of the configuration's rule")
		// It is done now, so it is not among those in force.
		rs, _ := c.allRules(0)
		c.same(len(rs), 2, "rules in force")
	}},
	{"setting the configuration's rules keeps the state of those that are the same", func(c *client) {
		c.putRule(chokepoint.Rule{Chat: chatID("1"), ID: "keep", Symbol: "AAOI", Text: "mine"})
		c.ok(c.s.SetRules(c.ctx, []chokepoint.Rule{
			{ID: "keep", Symbol: "AAOI", Text: "below 20"}, {ID: "reword", Symbol: "AAOI", Text: "below 10"}, {ID: "drop", Symbol: "AAOI", Text: "below 5"},
		}), "set rules")
		s := tick(c.lease("w"), "price", "")
		s.Rules = c.rules(chokepoint.ChatID{})
		for i := range s.Rules {
			s.Rules[i].State, s.Rules[i].Fired, s.Rules[i].Firings = []byte("s"), at(3), 2
		}
		c.commit(at(4), s)
		c.ok(c.s.SetRules(c.ctx, []chokepoint.Rule{
			{ID: "keep", Symbol: "AAOI", Text: "below 20"}, {ID: "reword", Symbol: "AAOI", Text: "below 11"}, {ID: "new", Symbol: "LITE", Text: "above 1"},
		}), "set rules")
		got := map[string]chokepoint.Rule{}
		for _, r := range c.rules(chokepoint.ChatID{}) {
			got[r.ID] = r
		}
		c.same(len(got), 3, "rules")
		c.same(got["keep"], chokepoint.Rule{ID: "keep", Symbol: "AAOI", Text: "below 20", State: []byte("s"), Fired: at(3), Firings: 2}, "the rule that is the same")
		c.same(got["reword"], chokepoint.Rule{ID: "reword", Symbol: "AAOI", Text: "below 11"}, "the rule that was reworded")
		c.same(got["new"], chokepoint.Rule{ID: "new", Symbol: "LITE", Text: "above 1"}, "the new rule")
		c.same(len(c.rules(chatID("1"))), 1, "rules of the chat")
		c.ok(c.s.SetRules(c.ctx, nil), "set no rules")
		c.same(len(c.rules(chokepoint.ChatID{})), 0, "rules of the configuration")
	}},
}

// everyField is an alert with every field set.
func everyField(id string) chokepoint.Alert {
	return chokepoint.Alert{
		ID: chokepoint.AlertID(id), Story: "k7f3q2ma", Update: 2, Escalate: true, Kind: chokepoint.AlertAgreement, Topic: topic, Severity: chokepoint.Urgent, Score: 88,
		Scores: chokepoint.Scores{Importance: 90, Credibility: 80, Corroboration: 70}, Direction: chokepoint.Positive, Symbols: []chokepoint.Symbol{"AAOI", "4979.TWO"},
		Headline: "光模块 — \"deal\" <now>", Happened: fine(at(-100)), Seen: fine(at(-50)), At: fine(at(0)), Facts: chokepoint.Facts{"buyer": "EXAMPLE", "amount": "300000000 USD"},
		Evidence: []chokepoint.Evidence{{URL: "https://example.org/a?b=c&d", Publisher: "Example", Title: "T", Excerpt: "E", Published: fine(at(-99)), Primary: true, SHA256: "ab"}},
		Sources:  7, Owners: 3, Catalyst: "lta", Risks: []chokepoint.RiskNote{{ID: "runup", State: "high", Facts: chokepoint.Facts{"year": "412.3"}}},
		Why: []chokepoint.Reason{{Key: "anchor", Args: chokepoint.Facts{"text": "Sugar Land"}}}, From: []chokepoint.ObservationID{"00ff"},
		Expires: fine(at(86400)), Drill: true,
	}
}
