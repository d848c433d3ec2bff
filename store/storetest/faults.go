package storetest

import (
	"errors"
	"strconv"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/store"
)

var faultTests = []test{
	{"each call in turn fails before it takes effect", func(c *client) { eachCallFails(c, Before) }},
	{"each call in turn takes effect and its answer is lost", func(c *client) { eachCallFails(c, After) }},
}

// eachCallFails lives a small life once for each of its calls, which fails
// and is made again, and expects to end as if none had failed.
func eachCallFails(c *client, f Fault) {
	whole := &Flaky{Store: c.s, Plan: Nth(0, None)}
	want := live(c, whole)
	for n := 1; n <= whole.Calls(); n++ {
		var failed string
		s := &Flaky{Store: c.fresh(), Plan: func(call int, method string) Fault {
			if call == n {
				failed = method
				return f
			}
			return None
		}}
		got := live(c, s)
		c.same(got, want, "what is left when call "+strconv.Itoa(n)+", "+failed+", fails")
		c.ok(s.Close(), "close")
	}
}

// remains is what can be seen of a store when a life is over.
type remains struct {
	Sent     map[string][]chokepoint.AlertID // by chat
	Chats    []chokepoint.Chat
	Rules    []chokepoint.Rule
	Journal  []chokepoint.Observation
	Cursor   string
	Items    int64
	Point    chokepoint.Checkpoint
	Board    []chokepoint.Card
	Alerts   []chokepoint.AlertID
	Quotes   []chokepoint.Quote
	Depth    chokepoint.Depth
	Dead     []chokepoint.AlertID
	Postings []string
}

// live uses a store as the program does, and repeats what fails as the program
// does.
func live(c *client, s store.Store) remains {
	ctx := c.ctx
	again := func(doing string, call func() error) {
		c.Helper()
		for {
			err := call()
			if err == nil {
				return
			}
			if !errors.Is(err, ErrInjected) {
				c.Fatalf("%s: %v", doing, err)
			}
		}
	}
	r := remains{Sent: map[string][]chokepoint.AlertID{}}
	for _, id := range []string{"1", "2", "-3"} {
		again("put chat", func() error { return s.PutChat(ctx, follower(id)) })
	}
	again("put rule", func() error {
		return s.PutRule(ctx, chokepoint.Rule{Chat: chatID("-3"), ID: "r", Symbol: "AAOI", Text: "below 20"})
	})
	again("set rules", func() error {
		return s.SetRules(ctx, []chokepoint.Rule{{ID: "conf", Symbol: "AAOI", Text: "below 10"}})
	})

	var l chokepoint.Lease
	again("acquire", func() (err error) { l, err = s.Acquire(ctx, at(0), "source/x", "me", time.Hour); return err })
	again("renew", func() error {
		renewed, err := s.Renew(ctx, at(1), l, time.Hour)
		if err == nil {
			l = renewed
		}
		return err
	})
	again("record", func() error {
		ss := step(l, "x", "1", news("x", "1", at(1)), quote("x", "AAOI", 19, at(1)))
		ss.Alerts = []chokepoint.Alert{alert("opsopsop", 1)}
		_, err := s.Record(ctx, at(1), ss)
		return err
	})
	again("release", func() error { return s.Release(ctx, l) })

	var w chokepoint.Lease
	again("acquire", func() (err error) { w, err = s.Acquire(ctx, at(0), "watcher/x", "me", time.Hour); return err })
	var es []chokepoint.Entry
	var p chokepoint.Position
	again("read", func() (err error) { es, p, err = s.Read(ctx, "", nil, 10); return err })
	r.Journal = observed(es)
	var rules []chokepoint.Rule
	again("all rules", func() (err error) { rules, _, err = s.AllRules(ctx, 0); return err })
	for i := range rules {
		rules[i].Firings++
	}
	again("commit", func() error {
		st := tick(w, "x", p, alert("aaaaaaaa", 2), alert("bbbbbbbb", 2))
		st.Cards = []chokepoint.Card{{Kind: chokepoint.CardRisk, ID: "runup", State: "high"}}
		st.Rules = rules
		return s.Commit(ctx, at(2), st)
	})
	again("publish", func() error { return s.Publish(ctx, at(2), []chokepoint.Alert{alert("cccccccc", 2)}) })
	for more := true; more; {
		again("spread", func() (err error) { more, err = s.Spread(ctx, at(3), 2); return err })
	}

	// Send all that is owed: one chat moves on its way, and one alert is given
	// up once and requeued.
	now := at(4)
	given := false
	for {
		var d chokepoint.Depth
		again("depth", func() (err error) { d, err = s.Depth(ctx, now); return err })
		if d.Pending == 0 {
			break
		}
		var gs []chokepoint.Grant
		again("grants", func() (err error) {
			gs, err = s.Grants(ctx, now, chokepoint.Telegram, "me", ttl, 2)
			return err
		})
		if len(gs) == 0 {
			now = now.Add(ttl) // an answer was lost, and its grants with it
			continue
		}
		var batch []chokepoint.Settlement
		for _, g := range gs {
			o := chokepoint.Outcome{Kind: chokepoint.Sent, Posting: &chokepoint.Posting{Chat: g.Chat.ID, Story: g.Alert.Story, Alert: g.Alert.ID, Message: "m"}}
			switch {
			case g.Chat.ID.ID == "-3":
				o = chokepoint.Outcome{Kind: chokepoint.Retry, NotBefore: now, Moved: chatID("3"), Reason: "moved"}
			case g.Chat.ID.ID == "1" && g.Alert.ID == "bbbbbbbb" && !given:
				o = chokepoint.Outcome{Kind: chokepoint.Dead, Reason: "given up"}
			default:
				r.Sent[g.Chat.ID.ID] = append(r.Sent[g.Chat.ID.ID], g.Alert.ID)
			}
			batch = append(batch, chokepoint.Settlement{Grant: g, Outcome: o})
		}
		// Lost is fine: then the first try took effect.
		again("settle", func() error { _, err := s.Settle(ctx, now, batch); return err })
		var dead []chokepoint.Delivery
		again("dead letters", func() (err error) { dead, err = s.DeadLetters(ctx, 10); return err })
		if len(dead) > 0 && !given {
			given = true
			again("requeue", func() error {
				err := s.Requeue(ctx, now, dead[0].ID)
				if errors.Is(err, chokepoint.ErrNotFound) {
					return nil // as it is when it was requeued already
				}
				return err
			})
		}
	}
	again("delete rule", func() error {
		err := s.DeleteRule(ctx, chatID("3"), "r")
		if errors.Is(err, chokepoint.ErrNotFound) {
			return nil
		}
		return err
	})
	again("put mark", func() error { return s.PutMark(ctx, "offset", "1") })
	again("trim", func() error {
		_, err := s.Trim(ctx, now, store.Keep{Journal: 1000 * time.Hour, Quotes: time.Hour}, 10)
		return err
	})

	again("chats", func() (err error) { r.Chats, err = s.Chats(ctx); return err })
	again("rules", func() (err error) { r.Rules, err = s.Rules(ctx, chokepoint.ChatID{}); return err })
	again("cursor", func() (err error) { r.Cursor, err = s.Cursor(ctx, "x"); return err })
	again("health", func() error {
		hs, err := s.Health(ctx)
		if err == nil {
			r.Items = hs[0].Items
		}
		return err
	})
	again("checkpoint", func() (err error) { r.Point, err = s.Checkpoint(ctx, "x"); return err })
	again("board", func() (err error) { r.Board, err = s.Board(ctx); return err })
	again("quotes", func() (err error) { r.Quotes, err = s.Quotes(ctx); return err })
	again("alerts", func() error {
		as, err := s.Alerts(ctx, store.AlertQuery{})
		for _, a := range as {
			r.Alerts = append(r.Alerts, a.ID)
		}
		return err
	})
	again("depth", func() (err error) { r.Depth, err = s.Depth(ctx, now); return err })
	for _, id := range []string{"1", "2", "3"} {
		again("posting", func() error {
			p, err := s.Posting(ctx, chatID(id), "aaaaaaaa")
			if err == nil {
				r.Postings = append(r.Postings, p.Message)
			}
			return err
		})
	}
	return r
}
