package storetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/store"
)

var wholeTests = []test{
	{"eight workers settle thousands of deliveries once each and in order", func(c *client) {
		const chats, alerts, workers = 60, 50, 8
		stores := []store.Store{c.s}
		if c.h.Another != nil {
			stores = append(stores, c.h.Another())
		}
		for i := range chats {
			c.putChat(follower(strconv.Itoa(i)))
		}
		var want []string
		for i := range alerts {
			id := fmt.Sprintf("story%03d", i)
			want = append(want, id)
			c.publish(at(0), alert(id, 0))
		}
		now := at(100)
		var mu sync.Mutex
		sent := map[string][]string{} // by chat
		total := 0
		work := func(s store.Store, rnd *rand.Rand) error {
			for {
				mu.Lock()
				done := total == chats*alerts
				mu.Unlock()
				if done {
					return nil
				}
				if _, err := s.Spread(c.ctx, now, 13); err != nil {
					return err
				}
				gs, err := s.Grants(c.ctx, now, chokepoint.Telegram, "w", ttl, 1+rnd.IntN(16))
				if err != nil {
					return err
				}
				var batch []chokepoint.Settlement
				for _, g := range gs {
					o := chokepoint.Outcome{Kind: chokepoint.Sent}
					switch rnd.IntN(10) {
					case 0:
						o = chokepoint.Outcome{Kind: chokepoint.Retry, NotBefore: now, Reason: "again"}
					case 1:
						o = chokepoint.Outcome{Kind: chokepoint.Snooze, NotBefore: now, Hold: true}
					default:
						mu.Lock()
						sent[g.Chat.ID.ID] = append(sent[g.Chat.ID.ID], string(g.Alert.ID))
						total++
						mu.Unlock()
					}
					batch = append(batch, chokepoint.Settlement{Grant: g, Outcome: o})
				}
				lost, err := s.Settle(c.ctx, now, batch)
				if err != nil {
					return err
				}
				if len(lost) > 0 {
					return fmt.Errorf("lost %d grants that nobody else can have", len(lost))
				}
			}
		}
		var wg sync.WaitGroup
		for i := range workers {
			wg.Go(func() {
				if err := work(stores[i%len(stores)], rand.New(rand.NewPCG(uint64(i), 7))); err != nil {
					c.Error(err)
					mu.Lock()
					total = chats * alerts // let the others go home
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if c.Failed() {
			return
		}
		for i := range chats {
			c.same(sent[strconv.Itoa(i)], want, "sent to chat "+strconv.Itoa(i))
		}
		c.spread(now)
		c.same(c.depth(now), chokepoint.Depth{}, "depth")
	}},
	{"a call whose context has ended fails, and leaves the store whole", func(c *client) {
		ctx, cancel := context.WithCancel(c.ctx)
		cancel()
		l := c.lease("source/x")
		for range 20 {
			if _, err := c.s.Record(ctx, at(1), step(l, "x", "", news("x", "1", at(1)))); err == nil {
				c.Fatal("record succeeded after its context had ended")
			}
			if _, err := c.s.Cursor(ctx, "x"); err == nil {
				c.Fatal("cursor succeeded after its context had ended")
			}
		}
		c.record(at(1), step(l, "x", "cursor", news("x", "1", at(1))))
		all, _ := c.readAll("", 10)
		c.same(titles(all), []string{"1"}, "journal")
	}},
	{"contexts that end at any moment leave all or nothing", func(c *client) {
		l := c.lease("source/x")
		told := map[string]bool{} // steps that said they were taken
		for i := range 60 {
			ctx, cancel := context.WithTimeout(c.ctx, time.Duration(i)*20*time.Microsecond)
			title := strconv.Itoa(i)
			_, err := c.s.Record(ctx, at(1), step(l, "x", title, news("x", title, at(1)), news("x", title, fine(at(1))), news("x", title+"b", at(1))))
			cancel()
			told[title] = err == nil
		}
		// A step whose context ended may take effect late, but not by halves.
		l, err := c.s.Renew(c.ctx, at(1), l, time.Hour)
		c.ok(err, "renew")
		c.record(at(1), step(l, "x", "last", news("x", "last", at(1)), news("x", "lastb", at(1))))
		all, _ := c.readAll("", 1000)
		wrote := map[string]int{}
		for _, title := range titles(all) {
			wrote[strings.TrimSuffix(title, "b")]++
		}
		for title, ok := range told {
			if n := wrote[title]; n != 0 && n != 2 || ok && n != 2 {
				c.Errorf("step %s wrote %d of its 2 observations; it said it was taken: %t", title, n, ok)
			}
		}
		c.same(wrote["last"], 2, "observations of the last step")
		c.same(c.health("x").Items, int64(len(all)), "items counted")
	}},
	{"after a restart all is still there", func(c *client) {
		if c.h.Reopen == nil {
			c.Skip("the harness can not reopen this store")
		}
		chat := follower("1")
		c.putChat(chat)
		c.putRule(chokepoint.Rule{Chat: chat.ID, ID: "r", Symbol: "AAOI", Text: "below 20", Made: at(1)})
		c.ok(c.s.SetRules(c.ctx, []chokepoint.Rule{{ID: "conf", Symbol: "AAOI", Text: "below 10"}}), "set rules")
		c.ok(c.s.PutMark(c.ctx, "offset", "7"), "put mark")
		posting := chokepoint.Posting{Chat: chat.ID, Story: "aaaaaaaa", Alert: "aaaaaaaa", Message: "1"}
		c.ok(c.s.PutPosting(c.ctx, posting), "put posting")
		obs := everyKind()
		sl := c.lease("source/sec")
		c.record(at(1), step(sl, "sec", "cursor", obs...))
		_, p := c.readAll("", 10)
		wl := c.acquire(at(0), "w", "a", time.Minute)
		s := tick(wl, "texas", p, alert("aaaaaaaa", 1), alert("bbbbbbbb", 1), alert("cccccccc", 1))
		s.Cards = []chokepoint.Card{{Kind: chokepoint.CardRisk, ID: "runup", State: "high", Updated: at(1)}}
		c.commit(at(1), s)
		more, err := c.s.Spread(c.ctx, at(1), 10)
		c.ok(err, "spread")
		c.same(more, true, "more to spread")
		out := c.grant(at(1))
		_, v := c.allRules(0)

		c.s = c.h.Reopen()

		c.same(c.chat(chat.ID), chat, "chat")
		c.same(len(c.rules(chat.ID)), 1, "rules")
		rs, now := c.allRules(0)
		c.same(len(rs), 2, "rules in force")
		c.same(now, v, "version of the rules")
		m, _ := c.s.Mark(c.ctx, "offset")
		c.same(m, "7", "mark")
		got, err := c.s.Posting(c.ctx, chat.ID, "aaaaaaaa")
		c.ok(err, "posting")
		c.same(got, posting, "posting")
		all, end := c.readAll("", 10)
		c.same(all, obs, "journal")
		c.same(end, p, "end of the journal")
		cur, _ := c.s.Cursor(c.ctx, "sec")
		c.same(cur, "cursor", "cursor")
		c.same(c.health("sec").Items, int64(len(obs)), "items")
		cp, _ := c.s.Checkpoint(c.ctx, "texas")
		c.same(cp, chokepoint.Checkpoint{Position: p, State: s.State}, "checkpoint")
		b, _ := c.s.Board(c.ctx)
		c.same(b, s.Cards, "board")
		qs, _ := c.s.Quotes(c.ctx)
		c.same(len(qs), 1, "quotes")

		// Leases, grants and spreads go on where they were.
		_, err = c.s.Acquire(c.ctx, at(2), "w", "b", time.Minute)
		c.fails(err, chokepoint.ErrLeaseHeld, "acquire what is held since before the restart")
		c.commit(at(2), tick(wl, "texas", p))
		if l := c.acquire(at(61), "w", "b", time.Minute); l.Token <= wl.Token {
			c.Fatalf("token %d after %d, want a greater one", l.Token, wl.Token)
		}
		c.spread(at(2))
		c.none(at(2), "its lane is granted since before the restart")
		c.settle(at(2), out, chokepoint.Outcome{Kind: chokepoint.Sent})
		for _, id := range []chokepoint.AlertID{"bbbbbbbb", "cccccccc"} {
			g := c.grant(at(3))
			c.same(g.Alert.ID, id, "alert")
			c.settle(at(3), g, chokepoint.Outcome{Kind: chokepoint.Sent})
		}
		c.commit(at(3), tick(c.lease("w2"), "texas", p, alert("aaaaaaaa", 1)))
		c.spread(at(3))
		c.same(c.depth(at(3)), chokepoint.Depth{}, "depth after what was sent is published again")
		if n := c.record(at(4), step(sl, "sec", "cursor", obs...)); n != 0 {
			c.Fatalf("%d observations are fresh after a restart, want none", n)
		}
	}},
	{"whatever is done in whatever order, the outbox is as its model", func(c *client) { outboxAgainstModel(c) }},
}
