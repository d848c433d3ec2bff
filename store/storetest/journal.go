package storetest

import (
	"strconv"
	"sync"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/store"
)

var journalTests = []test{
	{"a source that was never asked has no cursor", func(c *client) {
		cur, err := c.s.Cursor(c.ctx, "sec")
		c.ok(err, "cursor")
		c.same(cur, "", "cursor")
		es, p := c.read("", 10)
		c.same(es, []chokepoint.Entry(nil), "entries of an empty journal")
		c.same(p, chokepoint.Position(""), "position in an empty journal")
	}},
	{"what was recorded is read as it was, in order", func(c *client) {
		l := c.lease("source/sec")
		want := everyKind()
		if n := c.record(at(1), step(l, "sec", "cursor\x00 1", want...)); n != len(want) {
			c.Fatalf("fresh is %d, want %d", n, len(want))
		}
		es, p := c.read("", 100)
		c.same(observed(es), want, "journal")
		for i, e := range es {
			if e.Observation.Seen.Location() != time.UTC {
				c.Errorf("entry %d: zone is %v, want UTC", i, e.Observation.Seen.Location())
			}
			rest, _ := c.read(e.Position, 100)
			c.same(observed(rest), want[i+1:], "journal after entry "+strconv.Itoa(i))
		}
		rest, same := c.read(p, 100)
		c.same(len(rest), 0, "entries after the last")
		c.same(same, p, "position at the end")
		cur, err := c.s.Cursor(c.ctx, "sec")
		c.ok(err, "cursor")
		c.same(cur, "cursor\x00 1", "cursor")
	}},
	{"what the journal has is left alone and not counted", func(c *client) {
		l := c.lease("source/feed")
		first := news("feed", "one", at(1))
		c.record(at(1), step(l, "feed", "1", first))
		changed := first
		changed.Seen = at(2)
		changed.News = &chokepoint.News{Evidence: chokepoint.Evidence{Title: "reworded"}}
		twice := news("feed", "two", at(2))
		if n := c.record(at(2), step(l, "feed", "2", changed, twice, twice)); n != 1 {
			c.Fatalf("fresh is %d, want 1: one is known, and one comes twice", n)
		}
		all, _ := c.readAll("", 10)
		c.same(all, []chokepoint.Observation{first, twice}, "journal")
		if h := c.health("feed"); h.Items != 2 {
			c.Fatalf("health counts %d items, want 2", h.Items)
		}
	}},
	{"a step under a lost lease leaves no trace", func(c *client) {
		mine := c.acquire(at(0), "source/feed", "a", time.Minute)
		c.record(at(1), step(mine, "feed", "1", news("feed", "one", at(1))))
		theirs := c.acquire(at(61), "source/feed", "b", time.Minute)

		late := step(mine, "feed", "2", news("feed", "two", at(62)), quote("feed", "AAOI", 20, at(62)), bar("feed", "AAOI", "2026-03-02", 20, at(62)))
		late.Health.Class = chokepoint.Blocked
		late.Alerts = []chokepoint.Alert{alert("opsopsop", 62)}
		n, err := c.s.Record(c.ctx, at(62), late)
		c.fails(err, chokepoint.ErrLeaseLost, "record when overtaken")
		c.same(n, 0, "fresh")

		all, _ := c.readAll("", 10)
		c.same(titles(all), []string{"one"}, "journal")
		cur, _ := c.s.Cursor(c.ctx, "feed")
		c.same(cur, "1", "cursor")
		c.same(c.health("feed").Class, chokepoint.OKNew, "health's class")
		qs, _ := c.s.Quotes(c.ctx)
		c.same(len(qs), 0, "quotes")
		bs, _ := c.s.Bars(c.ctx, "AAOI", "")
		c.same(len(bs), 0, "bars")
		c.same(c.alerts(store.AlertQuery{}), []chokepoint.AlertID(nil), "alerts")
		c.record(at(62), step(theirs, "feed", "2", news("feed", "two", at(62))))
	}},
	{"a lease that ran out, was released or never was does not hold", func(c *client) {
		l := c.acquire(at(0), "source/feed", "a", time.Minute)
		_, err := c.s.Record(c.ctx, at(60), step(l, "feed", "1"))
		c.fails(err, chokepoint.ErrLeaseLost, "record when it has run out")
		c.ok(c.s.Release(c.ctx, l), "release")
		_, err = c.s.Record(c.ctx, at(1), step(l, "feed", "1"))
		c.fails(err, chokepoint.ErrLeaseLost, "record when it was released")
		_, err = c.s.Record(c.ctx, at(1), step(chokepoint.Lease{Name: "never", Holder: "a", Token: 1}, "feed", "1"))
		c.fails(err, chokepoint.ErrLeaseLost, "record under a lease that never was")
		_, err = c.s.Health(c.ctx)
		c.ok(err, "health")
		cur, _ := c.s.Cursor(c.ctx, "feed")
		c.same(cur, "", "cursor")
	}},
	{"health is replaced, with every observation counted by the store", func(c *client) {
		l := c.lease("source/feed")
		l2 := c.lease("source/aaa")
		want := chokepoint.Health{
			Source: "feed", Kind: "feed", Class: chokepoint.OKNew, Tried: fine(at(1)), Good: fine(at(1)), New: fine(at(1)), Next: at(600), Took: 1234567,
		}
		s := step(l, "feed", "1", news("feed", "one", at(1)), news("feed", "two", at(1)))
		s.Health = want
		s.Health.Items = 999 // a caller's count is nothing to go by
		c.record(at(1), s)
		want.Items = 2
		c.same(c.health("feed"), want, "health")

		s = step(l, "feed", "1", news("feed", "three", at(2)))
		s.Health = chokepoint.Health{Source: "feed", Kind: "feed", Class: chokepoint.Transport, Err: "connection refused", Tried: at(2), Good: at(1), Failures: 3, Told: at(2)}
		c.record(at(2), s)
		want = s.Health
		want.Items = 3
		c.same(c.health("feed"), want, "health")

		c.record(at(3), step(l2, "aaa", ""))
		hs, err := c.s.Health(c.ctx)
		c.ok(err, "health")
		if len(hs) != 2 || hs[0].Source != "aaa" || hs[1].Source != "feed" {
			c.Fatalf("health is not by name: %v", hs)
		}
	}},
	{"a source's alerts are published with its step, once", func(c *client) {
		c.putChat(follower("1", chokepoint.TopicOps))
		a := alert("opsopsop", 1)
		a.Topic, a.Kind = chokepoint.TopicOps, chokepoint.AlertOps
		s := step(c.lease("source/feed"), "feed", "")
		s.Alerts = []chokepoint.Alert{a}
		c.record(at(1), s)
		c.record(at(1), s)
		c.spread(at(1))
		c.same(c.grant(at(1)).Delivery.Alert, a.ID, "alert")
		c.same(c.depth(at(1)).Pending, 1, "pending")
	}},
	{"the latest quote of a symbol is the one that was traded last", func(c *client) {
		l := c.lease("source/quotes")
		c.record(at(1), step(l, "quotes", "", quote("quotes", "SIVE.ST", 1.5, at(1)), quote("quotes", "AAOI", 20, at(10)), quote("quotes", "AAOI", 21, at(20))))
		old := quote("quotes", "AAOI", 19, at(5))
		newer := quote("quotes", "^SOX", 5000.25, at(30))
		newer.Quote.Prev, newer.Quote.Volume, newer.Quote.Delayed, newer.Quote.Zone, newer.Quote.Currency = 4_900_000_000, 7, 15*time.Minute, "America/New_York", ""
		newer.Quote.Open, newer.Quote.High, newer.Quote.Low, newer.Quote.MadeUp = 1, 2, 3, true
		c.record(at(2), step(l, "quotes", "", old, newer))
		qs, err := c.s.Quotes(c.ctx)
		c.ok(err, "quotes")
		c.same(qs, []chokepoint.Quote{*quote("quotes", "AAOI", 21, at(20)).Quote, *quote("quotes", "SIVE.ST", 1.5, at(1)).Quote, *newer.Quote}, "quotes")

		// The same trade, told again with more volume, is the later telling.
		more := quote("quotes", "AAOI", 21, at(20))
		more.ID = chokepoint.NewObservationID("quotes", "more")
		more.Quote.Volume = 100
		c.record(at(3), step(l, "quotes", "", more))
		qs, _ = c.s.Quotes(c.ctx)
		c.same(qs[0], *more.Quote, "quote told again")
	}},
	{"a day's bar is the last one told of it", func(c *client) {
		l := c.lease("source/bars")
		c.record(at(1), step(l, "bars", "",
			bar("bars", "AAOI", "2026-02-27", 20, at(1)), bar("bars", "AAOI", "2026-03-02", 21, at(1)), bar("bars", "LITE", "2026-03-02", 90, at(1)), bar("bars", "AAOI", "2026-02-26", 19, at(1))))
		c.record(at(2), step(l, "bars", "", bar("bars", "AAOI", "2026-03-02", 22, at(2))))
		bs, err := c.s.Bars(c.ctx, "AAOI", "2026-02-27")
		c.ok(err, "bars")
		c.same(bs, []chokepoint.Bar{*bar("", "AAOI", "2026-02-27", 20, at(1)).Bar, *bar("", "AAOI", "2026-03-02", 22, at(1)).Bar}, "bars")
		bs, _ = c.s.Bars(c.ctx, "AAOI", "")
		c.same(len(bs), 3, "all bars")
		bs, _ = c.s.Bars(c.ctx, "COHR", "")
		c.same(len(bs), 0, "bars of a symbol that has none")
	}},
	{"kinds are picked, and the position is past all that was examined", func(c *client) {
		l := c.lease("source/mixed")
		var obs []chokepoint.Observation
		for i := range 10 {
			obs = append(obs, quote("mixed", "AAOI", float64(i), at(float64(i))))
			if i%3 == 0 {
				obs = append(obs, news("mixed", "n"+strconv.Itoa(i), at(float64(i))))
			}
			if i == 5 {
				obs = append(obs, bar("mixed", "AAOI", "2026-03-02", 1, at(1)))
			}
		}
		c.record(at(10), step(l, "mixed", "", obs...))
		_, end := c.readAll("", 100)

		got, p := c.readAll("", 100, chokepoint.KindNews)
		c.same(titles(got), []string{"n0", "n3", "n6", "n9"}, "news")
		c.same(p, end, "position after reading news only")
		got, _ = c.readAll("", 2, chokepoint.KindNews, chokepoint.KindBar)
		c.same(titles(got), []string{"n0", "n3", "AAOI 2026-03-02", "n6", "n9"}, "news and bars, two by two")
		got, p = c.readAll("", 100, chokepoint.KindFiling)
		c.same(len(got), 0, "filings")
		c.same(p, end, "position after nothing matched")

		// What comes after the position is found from it, whatever was passed over.
		c.record(at(11), step(l, "mixed", "", quote("mixed", "AAOI", 99, at(11)), news("mixed", "later", at(11))))
		got, _ = c.readAll(p, 100, chokepoint.KindNews)
		c.same(titles(got), []string{"later"}, "news after the position")
	}},
	{"reading can stop and go on while the journal is being written", func(c *client) {
		const sources, steps = 4, 25
		var wg sync.WaitGroup
		for i := range sources {
			l := c.lease("source/" + strconv.Itoa(i))
			wg.Go(func() {
				src := strconv.Itoa(i)
				for j := range steps {
					o := []chokepoint.Observation{news(src, src+"."+strconv.Itoa(j), at(1)), quote(src, "AAOI", float64(j), at(float64(j)))}
					if _, err := c.s.Record(c.ctx, at(1), step(l, src, "", o...)); err != nil {
						c.Errorf("record: %v", err)
					}
				}
			})
		}
		done := make(chan struct{})
		go func() { wg.Wait(); close(done) }()
		seen := map[string]int{}
		next := map[string]int{}
		var p chokepoint.Position
		for last := false; ; {
			es, to := c.read(p, 3, chokepoint.KindNews)
			for _, e := range es {
				title := e.Observation.News.Evidence.Title
				seen[title]++
				if want := e.Observation.Source + "." + strconv.Itoa(next[e.Observation.Source]); title != want {
					c.Fatalf("read %s, want %s", title, want)
				}
				next[e.Observation.Source]++
			}
			moved := to != p
			p = to
			if moved {
				continue
			}
			if last {
				break
			}
			select {
			case <-done:
				last = true // once more: all is written now
			default:
			}
		}
		c.same(len(seen), sources*steps, "entries read")
		for title, n := range seen {
			if n != 1 {
				c.Errorf("%s was read %d times", title, n)
			}
		}
	}},
	{"a first visit of some thousands is one step", func(c *client) {
		l := c.lease("source/big")
		var obs []chokepoint.Observation
		for i := range 3000 {
			obs = append(obs, news("big", strconv.Itoa(i), at(1)))
		}
		if n := c.record(at(1), step(l, "big", "", obs...)); n != len(obs) {
			c.Fatalf("fresh is %d, want %d", n, len(obs))
		}
		got, _ := c.readAll("", 700)
		c.same(titles(got), titles(obs), "journal")
	}},
}

// everyKind is an observation of each kind with every field set.
func everyKind() []chokepoint.Observation {
	ev := chokepoint.Evidence{
		URL: "https://sec.example/1", Publisher: "SEC", Title: "标题 <b>&\u2028", Excerpt: "an excerpt\nof two lines", Published: fine(at(-60)), Primary: true, SHA256: "00ff",
	}
	n := news("sec", "news", fine(at(1)))
	n.At, n.Backfill = fine(at(-60)), true
	n.News = &chokepoint.News{Evidence: ev, Language: "zh-Hans", Symbols: []chokepoint.Symbol{"AAOI", "4979.TWO"}, Text: "the text"}
	f := chokepoint.Observation{ID: chokepoint.NewObservationID("sec", "filing"), Source: "sec", Kind: chokepoint.KindFiling, Seen: fine(at(1)),
		Filing: &chokepoint.Filing{Evidence: ev, CIK: "0000000042", Company: "EXAMPLE CORP", Symbol: "EXMP", Accession: "0000000042-26-000001", Form: "8-K", Items: []string{"1.01", "9.01"}, Text: "text", Exhibits: []string{"EX-99.1"}}}
	p := chokepoint.Observation{ID: chokepoint.NewObservationID("sec", "permit"), Source: "sec", Kind: chokepoint.KindPermit, At: at(-5), Seen: fine(at(1)),
		Permit: &chokepoint.Permit{Evidence: ev, List: "nsr", Number: "12345", Applicant: "EXAMPLE", Facility: "PLANT", County: "FORT BEND", Received: "2026-02-01", Status: "PENDING", Was: "RECEIVED", Gone: true}}
	return []chokepoint.Observation{n, f, p, quote("sec", "AAOI", 20.25, at(1)), bar("sec", "AAOI", "2026-03-02", 20, at(1))}
}
