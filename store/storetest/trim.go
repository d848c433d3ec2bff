package storetest

import (
	"strconv"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/store"
)

// trim drops all that can be dropped, a few at a time.
func (c *client) trim(now time.Time, keep store.Keep) {
	c.Helper()
	for i := 0; ; i++ {
		more, err := c.s.Trim(c.ctx, now, keep, 3)
		c.ok(err, "trim")
		if !more {
			return
		}
		if i > 1000 {
			c.Fatal("trim says more for ever")
		}
	}
}

const hour = 3600.0

var trimTests = []test{
	{"an empty store has nothing to drop", func(c *client) {
		more, err := c.s.Trim(c.ctx, at(0), store.Keep{}, 10)
		c.ok(err, "trim")
		c.same(more, false, "more")
	}},
	{"quotes go before the rest, and the latest is known all the same", func(c *client) {
		l := c.lease("source/x")
		keep := store.Keep{Journal: 100 * time.Hour, Quotes: 10 * time.Hour}
		for i := range 8 {
			h := float64(i) * 2
			c.record(at(h*hour), step(l, "x", "", quote("x", "AAOI", float64(i+1), at(h*hour)), news("x", "n"+strconv.Itoa(i), at(h*hour))))
		}
		c.trim(at(14*hour), keep) // quotes of hours 0 and 2 are older than ten
		got, _ := c.readAll("", 100, chokepoint.KindQuote)
		c.same(titles(got), []string{"AAOI 3", "AAOI 4", "AAOI 5", "AAOI 6", "AAOI 7", "AAOI 8"}, "quotes")
		got, _ = c.readAll("", 100, chokepoint.KindNews)
		c.same(len(got), 8, "news")
		c.trim(at(105*hour), keep) // and news of hours 0 to 4 older than a hundred
		all, _ := c.readAll("", 100)
		c.same(titles(all), []string{"n3", "n4", "n5", "n6", "n7"}, "journal")
		qs, err := c.s.Quotes(c.ctx)
		c.ok(err, "quotes")
		c.same(qs, []chokepoint.Quote{*quote("x", "AAOI", 8, at(14*hour)).Quote}, "latest quotes")
		if h := c.health("x"); h.Items != 16 {
			c.Fatalf("health counts %d items, want 16: those ever recorded", h.Items)
		}
	}},
	{"what a watcher has not read stays", func(c *client) {
		l := c.lease("source/x")
		for i := range 6 {
			c.record(at(float64(i)), step(l, "x", "", news("x", strconv.Itoa(i), at(float64(i)))))
		}
		es, end := c.read("", 10)
		c.commit(at(9), tick(c.lease("w1"), "slow", es[2].Position))
		c.commit(at(9), tick(c.lease("w2"), "quick", end))
		keep := store.Keep{Journal: time.Hour, Quotes: time.Hour}
		c.trim(at(99*hour), keep)
		got, _ := c.readAll(es[2].Position, 10)
		c.same(titles(got), []string{"3", "4", "5"}, "journal from the slow watcher's position")
		got, _ = c.readAll("", 10)
		c.same(titles(got), []string{"3", "4", "5"}, "journal")
		c.commit(at(10), tick(c.lease("w3"), "new", ""))
		c.commit(at(10), tick(c.lease("w1"), "slow", end))
		c.trim(at(99*hour), keep)
		got, _ = c.readAll("", 10)
		c.same(len(got), 3, "entries while a watcher has read nothing")
		c.commit(at(11), tick(c.lease("w3"), "new", end))
		c.trim(at(99*hour), keep)
		got, p := c.readAll("", 10)
		c.same(len(got), 0, "entries that all have read")
		// A journal that was emptied goes on where it was.
		c.record(at(99*hour), step(l, "x", "", news("x", "after", at(99*hour))))
		for _, from := range []chokepoint.Position{"", p, end} {
			got, _ = c.readAll(from, 10)
			c.same(titles(got), []string{"after"}, "journal after it was emptied")
		}
	}},
	{"old alerts go, with postings and dead letters, but not what is owed", func(c *client) {
		c.putChat(follower("1"))
		keep := store.Keep{Journal: 10 * time.Hour, Quotes: time.Hour}
		c.publish(at(0), alert("sentsent", 0), alert("deaddead", 0), alert("owedowed", 0))
		c.spread(at(0))
		p := chokepoint.Posting{Chat: chatID("1"), Story: "sentsent", Alert: "sentsent", Message: "7", Edited: at(1)}
		c.settle(at(1), c.grant(at(1)), chokepoint.Outcome{Kind: chokepoint.Sent, Posting: &p})
		c.settle(at(1), c.grant(at(1)), chokepoint.Outcome{Kind: chokepoint.Dead, Reason: "x"})
		c.publish(at(2), alert("unspread", 2))
		young := p
		young.Story, young.Edited = "youngone", at(9*hour)
		c.ok(c.s.PutPosting(c.ctx, young), "put posting")

		c.trim(at(9*hour), keep)
		c.same(len(c.alerts(store.AlertQuery{})), 4, "alerts before they are old")
		c.same(len(c.dead(10)), 1, "dead letters before they are old")
		c.trim(at(11*hour), keep)
		c.same(c.alerts(store.AlertQuery{}), []chokepoint.AlertID{"unspread", "owedowed"}, "alerts")
		c.same(len(c.dead(10)), 0, "dead letters")
		_, err := c.s.Posting(c.ctx, p.Chat, p.Story)
		c.fails(err, chokepoint.ErrNotFound, "old posting")
		_, err = c.s.Posting(c.ctx, p.Chat, young.Story)
		c.ok(err, "young posting")

		c.spread(at(11 * hour))
		for _, id := range []chokepoint.AlertID{"owedowed", "unspread"} {
			g := c.grant(at(11 * hour))
			c.same(g.Alert.ID, id, "alert")
			c.settle(at(11*hour), g, chokepoint.Outcome{Kind: chokepoint.Sent})
		}
		c.trim(at(12*hour+60), keep)
		c.same(len(c.alerts(store.AlertQuery{})), 0, "alerts when nothing is owed")
	}},
	{"old bars go", func(c *client) {
		l := c.lease("source/x")
		c.record(at(0), step(l, "x", "", bar("x", "AAOI", "2026-02-01", 1, at(0)), bar("x", "AAOI", "2026-03-01", 1, at(0)), bar("x", "LITE", "2026-02-10", 1, at(0))))
		c.trim(at(0), store.Keep{Journal: 10 * 24 * time.Hour, Quotes: time.Hour})
		bs, err := c.s.Bars(c.ctx, "AAOI", "")
		c.ok(err, "bars")
		c.same(len(bs), 1, "bars of AAOI")
		bs, _ = c.s.Bars(c.ctx, "LITE", "")
		c.same(len(bs), 0, "bars of LITE")
	}},
	{"no call drops more than it was told", func(c *client) {
		l := c.lease("source/x")
		var obs []chokepoint.Observation
		for i := range 10 {
			obs = append(obs, news("x", strconv.Itoa(i), at(0)))
		}
		c.record(at(0), step(l, "x", "", obs...))
		left := 10
		for more := true; more; {
			var err error
			more, err = c.s.Trim(c.ctx, at(99*hour), store.Keep{Journal: time.Hour, Quotes: time.Hour}, 4)
			c.ok(err, "trim")
			got, _ := c.readAll("", 100)
			if left-len(got) > 4 {
				c.Fatalf("one call dropped %d, want at most 4", left-len(got))
			}
			left = len(got)
		}
		c.same(left, 0, "entries left")
	}},
}
