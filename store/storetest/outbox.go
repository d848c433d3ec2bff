package storetest

import (
	"strconv"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/store"
)

var spreadTests = []test{
	{"those who follow the topic and can be reached are owed the alert, page by page", func(c *client) {
		want := map[string]int{}
		for i := range 25 {
			id := strconv.Itoa(i)
			c.putChat(follower(id))
			want[id] = 1
		}
		c.putChat(follower("other", "lta"))
		gone := follower("gone")
		gone.Gone = "kicked"
		c.putChat(gone)
		left := follower("left")
		c.putChat(left)
		left.Topics = nil
		c.putChat(left)
		c.putChat(chokepoint.Chat{ID: chokepoint.ChatID{Platform: chokepoint.Discord, ID: "d"}, Topics: []chokepoint.Topic{"lta", topic}})

		c.publish(at(1), alert("aaaaaaaa", 1))
		c.same(c.depth(at(1)), chokepoint.Depth{Spreads: 1}, "depth before the spread")
		pending := 0
		for i := 0; ; i++ {
			more, err := c.s.Spread(c.ctx, at(2), 7)
			c.ok(err, "spread")
			d := c.depth(at(2))
			if d.Pending > pending+7 {
				c.Fatalf("a page of 7 made %d deliveries", d.Pending-pending)
			}
			pending = d.Pending
			if more != (d.Spreads > 0) {
				c.Fatalf("more is %t with %d spreads left", more, d.Spreads)
			}
			if !more {
				break
			}
			if i > 10 {
				c.Fatal("26 chats take more than ten pages of 7")
			}
		}
		got := map[string]int{}
		for _, g := range c.grants(at(3), 100) {
			got[g.Delivery.Chat.ID]++
		}
		c.same(got, want, "telegram chats")
		ds, err := c.s.Grants(c.ctx, at(3), chokepoint.Discord, "w", ttl, 10)
		c.ok(err, "grants")
		if len(ds) != 1 || ds[0].Delivery.Chat.ID != "d" {
			c.Fatalf("discord: %v", told(ds))
		}
	}},
	{"an alert for some chats is owed to them alone, whatever they follow", func(c *client) {
		c.putChat(follower("1"))
		c.putChat(follower("2", "lta"))
		gone := follower("3")
		gone.Gone = "kicked"
		c.putChat(gone)
		a := alert("aaaaaaaa", 1)
		a.Only = []chokepoint.ChatID{chatID("2"), chatID("3"), chatID("unknown"), chatID("2")}
		c.publish(at(1), a)
		c.spread(at(1))
		got := map[string]chokepoint.Chat{}
		for _, g := range c.grants(at(1), 10) {
			got[g.Delivery.Chat.ID] = g.Chat
			c.same(g.Alert.Only, a.Only, "chats in the alert")
		}
		// One that the desk does not know is owed it too: nothing is lost.
		c.same(got, map[string]chokepoint.Chat{"2": follower("2", "lta"), "unknown": {ID: chatID("unknown")}}, "chats")
		c.same(c.depth(at(1)).Pending, 2, "pending")
	}},
	{"the oldest spread goes first", func(c *client) {
		c.putChat(follower("1"))
		c.publish(at(1), alert("bbbbbbbb", 1))
		c.publish(at(2), alert("aaaaaaaa", 2))
		more, err := c.s.Spread(c.ctx, at(3), 10)
		c.ok(err, "spread")
		c.same(more, true, "more")
		c.same(c.grant(at(3)).Delivery.Alert, chokepoint.AlertID("bbbbbbbb"), "alert")
	}},
	{"an alert that nobody follows is spread to its end", func(c *client) {
		c.publish(at(1), alert("aaaaaaaa", 1))
		c.spread(at(1))
		c.same(c.depth(at(1)), chokepoint.Depth{}, "depth")
		c.same(c.alerts(store.AlertQuery{}), []chokepoint.AlertID{"aaaaaaaa"}, "alerts")
	}},
	{"with nothing to spread there is nothing more", func(c *client) {
		more, err := c.s.Spread(c.ctx, at(1), 10)
		c.ok(err, "spread")
		c.same(more, false, "more")
	}},
	{"publishing twice owes once, before, during and after the spread", func(c *client) {
		for i := range 5 {
			c.putChat(follower(strconv.Itoa(i)))
		}
		a := alert("aaaaaaaa", 1)
		c.publish(at(1), a, a)
		c.publish(at(1), a)
		_, err := c.s.Spread(c.ctx, at(1), 2)
		c.ok(err, "spread")
		c.publish(at(2), a)
		c.spread(at(2))
		c.publish(at(3), a)
		c.spread(at(3))
		c.same(c.depth(at(3)).Pending, 5, "pending")
		for _, g := range c.grants(at(3), 10) {
			c.settle(at(3), g, chokepoint.Outcome{Kind: chokepoint.Sent})
		}
		c.publish(at(4), a)
		c.spread(at(4))
		c.same(c.depth(at(4)), chokepoint.Depth{}, "depth")
	}},
}

var outboxTests = []test{
	{"a grant is all that is needed to send", func(c *client) {
		chat := follower("1")
		chat.Title, chat.MinSeverity = "desk", chokepoint.Notice
		c.putChat(chat)
		a := everyField("k7f3q2ma-2")
		c.publish(at(1), a)
		c.spread(at(2))
		c.same(c.due(), at(2), "due")
		g := c.grant(at(3))
		if g.Token == 0 {
			c.Error("a grant's token is zero")
		}
		want := chokepoint.Grant{
			Delivery: chokepoint.Delivery{ID: chokepoint.NewDeliveryID(a.ID, chat.ID), Alert: a.ID, Chat: chat.ID, Queued: at(2)},
			Alert:    &a, Chat: chat, Token: g.Token, Expires: at(33),
		}
		c.same(g, want, "grant")
		c.same(c.depth(at(5)), chokepoint.Depth{Pending: 1, Granted: 1, Oldest: 3 * time.Second}, "depth")
		c.same(c.due(), time.Time{}, "due while all is granted")
		c.settle(at(4), g, chokepoint.Outcome{Kind: chokepoint.Sent})
		c.same(c.depth(at(5)), chokepoint.Depth{}, "depth after it was sent")
		c.same(c.due(), time.Time{}, "due when nothing is owed")
	}},
	{"the chat and the posting are as they are now", func(c *client) {
		c.putChat(follower("1"))
		c.publish(at(1), alert("aaaaaaaa", 1))
		c.spread(at(1))
		chat := follower("1")
		chat.Language, chat.Muted = chokepoint.Chinese, at(99)
		c.putChat(chat)
		p := chokepoint.Posting{Chat: chat.ID, Story: "aaaaaaaa", Alert: "aaaaaaaa", Message: "7", Thread: "8", Edited: fine(at(1))}
		c.ok(c.s.PutPosting(c.ctx, p), "put posting")
		g := c.grant(at(2))
		c.same(g.Chat, chat, "chat")
		c.same(g.Posting, &p, "posting")
	}},
	{"a chat's deliveries come in order, one at a time", func(c *client) {
		c.putChat(follower("1"))
		for _, id := range []string{"cccccccc", "aaaaaaaa", "bbbbbbbb"} {
			c.publish(at(1), alert(id, 1))
		}
		c.spread(at(1))
		for _, id := range []chokepoint.AlertID{"cccccccc", "aaaaaaaa", "bbbbbbbb"} {
			g := c.grant(at(2))
			c.same(g.Delivery.Alert, id, "alert")
			c.none(at(2), "the lane has its holder")
			c.settle(at(2), g, chokepoint.Outcome{Kind: chokepoint.Sent})
		}
		c.none(at(2), "all was sent")
	}},
	{"no more lanes are granted than asked for, the longest due first", func(c *client) {
		for i, id := range []string{"c", "a", "d", "b"} {
			a := alert("story"+id, float64(i))
			a.Only = []chokepoint.ChatID{chatID(id)}
			c.publish(at(float64(i)), a)
			c.spread(at(float64(i)))
		}
		c.same(c.due(), at(0), "due")
		gs := c.grants(at(9), 3)
		c.same(told(gs), "storyc to c; storya to a; storyd to d; ", "grants")
		c.same(c.due(), at(3), "due")
		c.same(told(c.grants(at(9), 3)), "storyb to b; ", "grants")
		c.same(len(c.grants(at(9), 0)), 0, "grants of none")
	}},
	{"a lane that is not due yet is not granted", func(c *client) {
		c.putChat(follower("1"))
		c.publish(at(1), alert("aaaaaaaa", 1))
		c.spread(at(5))
		c.none(at(4.999), "it falls due at 5")
		c.grant(at(5))
	}},
	{"sent stores where the story stands, or leaves it", func(c *client) {
		c.putChat(follower("1"))
		c.publish(at(1), alert("aaaaaaaa", 1), alert("aaaaaaaa-1", 2), alert("aaaaaaaa-2", 3))
		c.spread(at(1))
		p := chokepoint.Posting{Chat: chatID("1"), Story: "aaaaaaaa", Alert: "aaaaaaaa", Message: "7", Edited: fine(at(1))}
		c.settle(at(1), c.grant(at(1)), chokepoint.Outcome{Kind: chokepoint.Sent, Posting: &p})
		g := c.grant(at(2))
		c.same(g.Posting, &p, "posting")
		c.settle(at(2), g, chokepoint.Outcome{Kind: chokepoint.Sent})
		g = c.grant(at(3))
		c.same(g.Posting, &p, "posting after it was left as it was")
		p.Alert, p.Thread = "aaaaaaaa-2", "9"
		c.settle(at(3), g, chokepoint.Outcome{Kind: chokepoint.Sent, Posting: &p})
		got, err := c.s.Posting(c.ctx, p.Chat, p.Story)
		c.ok(err, "posting")
		c.same(got, p, "posting at last")
	}},
	{"a retry counts and holds the whole lane", func(c *client) {
		c.putChat(follower("1"))
		c.publish(at(1), alert("aaaaaaaa", 1), alert("bbbbbbbb", 2))
		c.spread(at(1))
		c.settle(at(1), c.grant(at(1)), chokepoint.Outcome{Kind: chokepoint.Retry, NotBefore: at(10), Reason: "transient: 502", Unknown: true})
		c.same(c.due(), at(10), "due")
		c.none(at(9), "the lane waits")
		c.publish(at(5), alert("cccccccc", 5))
		c.spread(at(5))
		c.none(at(9), "what comes later waits behind it")
		c.same(c.due(), at(10), "due after more was owed")
		g := c.grant(at(10))
		c.same(g.Delivery, chokepoint.Delivery{
			ID: g.Delivery.ID, Alert: "aaaaaaaa", Chat: chatID("1"), Queued: at(1), Attempts: 1, Unknown: 1, LastErr: "transient: 502",
		}, "delivery")
		c.settle(at(10), g, chokepoint.Outcome{Kind: chokepoint.Retry, NotBefore: at(20), Reason: "transient: 503"})
		g = c.grant(at(20))
		if g.Delivery.Attempts != 2 || g.Delivery.Unknown != 1 || g.Delivery.LastErr != "transient: 503" {
			c.Fatalf("after the second attempt: %+v", g.Delivery)
		}
		c.settle(at(20), g, chokepoint.Outcome{Kind: chokepoint.Sent})
		c.same(c.grant(at(20)).Delivery.Alert, chokepoint.AlertID("bbbbbbbb"), "next alert")
	}},
	{"a snooze does not count, and lets those behind it pass", func(c *client) {
		c.putChat(follower("1"))
		c.publish(at(1), alert("aaaaaaaa", 1), alert("bbbbbbbb", 2), alert("cccccccc", 3))
		c.spread(at(1))
		c.settle(at(1), c.grant(at(1)), chokepoint.Outcome{Kind: chokepoint.Snooze, NotBefore: at(60)})
		g := c.grant(at(1))
		c.same(g.Delivery.Alert, chokepoint.AlertID("bbbbbbbb"), "alert")
		c.settle(at(1), g, chokepoint.Outcome{Kind: chokepoint.Snooze, NotBefore: at(50)})
		g = c.grant(at(1))
		c.same(g.Delivery.Alert, chokepoint.AlertID("cccccccc"), "alert")
		c.settle(at(1), g, chokepoint.Outcome{Kind: chokepoint.Sent})

		c.same(c.due(), at(50), "due: the earliest of those snoozed")
		c.none(at(49), "all that is owed is snoozed")
		g = c.grant(at(50))
		c.same(g.Delivery.Alert, chokepoint.AlertID("bbbbbbbb"), "alert")
		c.same(g.Delivery.Attempts, 0, "attempts")
		c.settle(at(50), g, chokepoint.Outcome{Kind: chokepoint.Sent})
		g = c.grant(at(60))
		c.same(g.Delivery.Alert, chokepoint.AlertID("aaaaaaaa"), "alert")
	}},
	{"those whose snooze has ended come oldest first", func(c *client) {
		c.putChat(follower("1"))
		c.publish(at(1), alert("aaaaaaaa", 1), alert("bbbbbbbb", 2))
		c.spread(at(1))
		c.settle(at(1), c.grant(at(1)), chokepoint.Outcome{Kind: chokepoint.Snooze, NotBefore: at(60)})
		c.settle(at(1), c.grant(at(1)), chokepoint.Outcome{Kind: chokepoint.Snooze, NotBefore: at(50)})
		c.publish(at(2), alert("cccccccc", 5))
		c.spread(at(2))
		for _, id := range []chokepoint.AlertID{"aaaaaaaa", "bbbbbbbb", "cccccccc"} {
			g := c.grant(at(70))
			c.same(g.Delivery.Alert, id, "alert")
			c.settle(at(70), g, chokepoint.Outcome{Kind: chokepoint.Sent})
		}
	}},
	{"what is owed anew passes what is snoozed", func(c *client) {
		c.putChat(follower("1"))
		c.publish(at(1), alert("aaaaaaaa", 1))
		c.spread(at(1))
		c.settle(at(1), c.grant(at(1)), chokepoint.Outcome{Kind: chokepoint.Snooze, NotBefore: at(3600)})
		c.publish(at(2), alert("bbbbbbbb", 2))
		c.spread(at(2))
		c.same(c.due(), at(2), "due")
		c.same(c.grant(at(2)).Delivery.Alert, chokepoint.AlertID("bbbbbbbb"), "alert")
	}},
	{"a snooze that holds makes the lane wait", func(c *client) {
		c.putChat(follower("1"))
		c.publish(at(1), alert("aaaaaaaa", 1), alert("bbbbbbbb", 2))
		c.spread(at(1))
		c.settle(at(1), c.grant(at(1)), chokepoint.Outcome{Kind: chokepoint.Snooze, NotBefore: at(5), Hold: true, Pace: chokepoint.Pace{TAT: at(7)}})
		c.same(c.due(), at(5), "due")
		c.none(at(4), "the lane is held")
		g := c.grant(at(5))
		c.same(g.Delivery.Alert, chokepoint.AlertID("aaaaaaaa"), "alert")
		c.same(g.Delivery.Attempts, 0, "attempts")
		c.same(g.Pace.TAT, at(7), "theoretical arrival time")
	}},
	{"the pace is the lane's from then on", func(c *client) {
		c.putChat(follower("1"))
		c.publish(at(1), alert("aaaaaaaa", 1), alert("bbbbbbbb", 2))
		c.spread(at(1))
		g := c.grant(at(1))
		c.same(g.Pace, chokepoint.Pace{}, "pace at first")
		c.settle(at(1), g, chokepoint.Outcome{Kind: chokepoint.Sent, Pace: chokepoint.Pace{TAT: at(3)}})
		g = c.grant(at(1))
		c.same(g.Pace, chokepoint.Pace{TAT: at(3)}, "pace")
		c.settle(at(1), g, chokepoint.Outcome{Kind: chokepoint.Sent, Pace: chokepoint.Pace{TAT: at(5)}})
		c.publish(at(100), alert("cccccccc", 100))
		c.spread(at(100))
		c.same(c.grant(at(100)).Pace, chokepoint.Pace{TAT: at(5)}, "pace after the lane was empty")
	}},
	{"what runs out is granted again, with its attempts, and the old grant is void", func(c *client) {
		c.putChat(follower("1"))
		c.publish(at(1), alert("aaaaaaaa", 1), alert("bbbbbbbb", 2))
		c.spread(at(1))
		c.settle(at(1), c.grant(at(1)), chokepoint.Outcome{Kind: chokepoint.Retry, NotBefore: at(1), Reason: "x"})
		old := c.grant(at(1))
		c.none(at(30), "it runs until 31")
		c.same(c.depth(at(30)).Granted, 1, "granted")
		c.same(c.depth(at(31)).Granted, 0, "granted when it has run out")
		g := c.grant(at(31))
		c.same(g.Delivery, old.Delivery, "delivery")
		if g.Token <= old.Token {
			c.Fatalf("token %d after %d, want a greater one", g.Token, old.Token)
		}
		c.tooLate(at(32), old, "granted again")
		c.settle(at(33), g, chokepoint.Outcome{Kind: chokepoint.Sent})
		c.tooLate(at(34), old, "settled by another")
		c.same(c.grant(at(34)).Delivery.Alert, chokepoint.AlertID("bbbbbbbb"), "next alert")
	}},
	{"what ran out can be settled while it was not granted again", func(c *client) {
		c.putChat(follower("1"))
		c.publish(at(1), alert("aaaaaaaa", 1))
		c.spread(at(1))
		g := c.grant(at(1))
		c.settle(at(500), g, chokepoint.Outcome{Kind: chokepoint.Sent})
		c.same(c.depth(at(500)), chokepoint.Depth{}, "depth")
	}},
	{"a grant is settled once, whatever the outcome", func(c *client) {
		for i, k := range []chokepoint.OutcomeKind{chokepoint.Sent, chokepoint.Retry, chokepoint.Snooze, chokepoint.Dropped, chokepoint.Dead} {
			id := "story" + strconv.Itoa(i)
			a := alert(id, 1)
			a.Only = []chokepoint.ChatID{chatID(id)}
			c.publish(at(1), a)
			c.spread(at(1))
			g := c.grant(at(1))
			c.settle(at(1), g, chokepoint.Outcome{Kind: k, NotBefore: at(9999), Reason: "x"})
			c.tooLate(at(1), g, "settled before")
		}
		c.same(c.depth(at(1)), chokepoint.Depth{Pending: 2, Dead: 1}, "depth")
	}},
	{"a batch settles the good and names the lost", func(c *client) {
		var want []chokepoint.DeliveryID
		for i := range 6 {
			c.putChat(follower(strconv.Itoa(i)))
		}
		c.publish(at(1), alert("aaaaaaaa", 1))
		c.spread(at(1))
		gs := c.grants(at(1), 10)
		var batch []chokepoint.Settlement
		for i, g := range gs {
			if i%2 == 0 {
				c.settle(at(1), g, chokepoint.Outcome{Kind: chokepoint.Sent})
				want = append(want, g.Delivery.ID)
			}
			batch = append(batch, chokepoint.Settlement{Grant: g, Outcome: chokepoint.Outcome{Kind: chokepoint.Sent}})
		}
		batch = append(batch, batch[1]) // and one comes twice
		want = append(want, batch[1].Grant.Delivery.ID)
		lost, err := c.s.Settle(c.ctx, at(2), batch)
		c.ok(err, "settle")
		c.same(lost, want, "lost, in the order given")
		c.same(c.depth(at(2)), chokepoint.Depth{}, "depth")
		lost, err = c.s.Settle(c.ctx, at(2), nil)
		c.ok(err, "settle nothing")
		c.same(len(lost), 0, "lost")
	}},
	{"what is dropped leaves without a trace", func(c *client) {
		c.putChat(follower("1"))
		c.publish(at(1), alert("aaaaaaaa", 1), alert("bbbbbbbb", 1))
		c.spread(at(1))
		c.settle(at(1), c.grant(at(1)), chokepoint.Outcome{Kind: chokepoint.Dropped, Reason: "muted"})
		c.same(c.depth(at(1)), chokepoint.Depth{Pending: 1}, "depth")
		c.same(len(c.dead(10)), 0, "dead letters")
		c.same(c.grant(at(1)).Delivery.Alert, chokepoint.AlertID("bbbbbbbb"), "next alert")
	}},
	{"what is given up becomes a dead letter, and the lane goes on", func(c *client) {
		c.putChat(follower("1"))
		c.publish(at(1), alert("aaaaaaaa", 1), alert("bbbbbbbb", 2), alert("cccccccc", 3))
		c.spread(at(1))
		c.settle(at(1), c.grant(at(1)), chokepoint.Outcome{Kind: chokepoint.Retry, NotBefore: at(2), Reason: "rejected"})
		g := c.grant(at(2))
		c.settle(at(3), g, chokepoint.Outcome{Kind: chokepoint.Dead, Reason: "rejected: too long", Unknown: true, Pace: chokepoint.Pace{TAT: at(8)}})
		want := chokepoint.Delivery{
			ID: g.Delivery.ID, Alert: "aaaaaaaa", Chat: chatID("1"), Queued: at(1), Attempts: 2, Unknown: 1, LastErr: "rejected: too long", Dead: at(3),
		}
		c.same(c.dead(10), []chokepoint.Delivery{want}, "dead letters")
		g = c.grant(at(3))
		c.same(g.Delivery.Alert, chokepoint.AlertID("bbbbbbbb"), "next alert")
		c.same(g.Pace.TAT, at(8), "theoretical arrival time")
		c.settle(at(4), g, chokepoint.Outcome{Kind: chokepoint.Dead, Reason: "y"})
		c.settle(at(5), c.grant(at(5)), chokepoint.Outcome{Kind: chokepoint.Dead, Reason: "z"})
		var ids []chokepoint.AlertID
		for _, d := range c.dead(2) {
			ids = append(ids, d.Alert)
		}
		c.same(ids, []chokepoint.AlertID{"cccccccc", "bbbbbbbb"}, "newest two dead letters")
		c.same(c.depth(at(5)), chokepoint.Depth{Dead: 3}, "depth")
	}},
	{"a dead letter can be owed again, afresh", func(c *client) {
		c.putChat(follower("1"))
		c.publish(at(1), alert("aaaaaaaa", 1))
		c.spread(at(1))
		g := c.grant(at(1))
		c.settle(at(2), g, chokepoint.Outcome{Kind: chokepoint.Dead, Reason: "x", Unknown: true})
		c.ok(c.s.Requeue(c.ctx, at(10), g.Delivery.ID), "requeue")
		c.same(len(c.dead(10)), 0, "dead letters")
		c.same(c.due(), at(10), "due")
		again := c.grant(at(10)).Delivery
		if again.ID != g.Delivery.ID || again.Alert != "aaaaaaaa" || again.Attempts != 0 || again.Unknown != 0 || !again.Dead.IsZero() {
			c.Fatalf("requeued: %+v", again)
		}
		c.fails(c.s.Requeue(c.ctx, at(11), g.Delivery.ID), chokepoint.ErrNotFound, "requeue it again")
		c.fails(c.s.Requeue(c.ctx, at(11), "nosuchdelivery"), chokepoint.ErrNotFound, "requeue what is not there")
		c.same(c.depth(at(11)).Pending, 1, "pending")
	}},
	{"a chat that is gone is marked so, and its lane closed", func(c *client) {
		c.putChat(follower("1"))
		c.putChat(follower("2"))
		c.publish(at(1), alert("aaaaaaaa", 1), alert("bbbbbbbb", 2), alert("cccccccc", 3))
		c.spread(at(1))
		for _, g := range c.grants(at(1), 10) {
			if g.Delivery.Chat.ID == "1" {
				c.settle(at(2), g, chokepoint.Outcome{Kind: chokepoint.Dead, Gone: true, Reason: "chat gone: kicked"})
			} else {
				c.settle(at(2), g, chokepoint.Outcome{Kind: chokepoint.Sent})
			}
		}
		c.same(c.chat(chatID("1")).Gone, "chat gone: kicked", "why it is gone")
		c.same(c.chat(chatID("1")).Topics, follower("1").Topics, "topics are kept for its return")
		c.same(c.depth(at(2)), chokepoint.Depth{Pending: 2, Dead: 1, Oldest: time.Second}, "depth: the rest of the lane left with it")
		c.same(c.dead(10)[0].Alert, chokepoint.AlertID("aaaaaaaa"), "dead letter")
		c.publish(at(3), alert("dddddddd", 3))
		c.spread(at(3))
		c.same(c.depth(at(3)).Pending, 3, "pending: nothing more for the one that is gone")

		back := c.chat(chatID("1"))
		back.Gone = ""
		c.putChat(back)
		c.publish(at(4), alert("eeeeeeee", 4))
		c.spread(at(4))
		got := map[string]chokepoint.AlertID{}
		for _, g := range c.grants(at(4), 10) {
			got[g.Delivery.Chat.ID] = g.Delivery.Alert
		}
		c.same(got, map[string]chokepoint.AlertID{"1": "eeeeeeee", "2": "bbbbbbbb"}, "grants after its return")
	}},
	{"a chat that moved is tried under its new ID", func(c *client) {
		chat := follower("-1")
		c.putChat(chat)
		c.putRule(chokepoint.Rule{Chat: chat.ID, ID: "r1", Symbol: "AAOI", Text: "below 20"})
		c.ok(c.s.PutPosting(c.ctx, chokepoint.Posting{Chat: chat.ID, Story: "aaaaaaaa", Message: "7"}), "put posting")
		c.publish(at(1), alert("aaaaaaaa", 1), alert("bbbbbbbb", 2))
		c.spread(at(1))
		c.settle(at(2), c.grant(at(1)), chokepoint.Outcome{Kind: chokepoint.Retry, NotBefore: at(5), Reason: "moved", Moved: chatID("-1001"), Pace: chokepoint.Pace{TAT: at(3)}})
		_, err := c.s.Chat(c.ctx, chat.ID)
		c.fails(err, chokepoint.ErrNotFound, "chat under its old ID")
		c.same(len(c.rules(chatID("-1001"))), 1, "rules under the new ID")
		c.none(at(4), "the lane waits")
		g := c.grant(at(5))
		c.same(g.Chat.ID, chatID("-1001"), "granted chat")
		c.same(g.Chat.Topics, chat.Topics, "topics")
		if g.Delivery.Chat != chatID("-1001") || g.Delivery.Alert != "aaaaaaaa" || g.Delivery.Attempts != 1 {
			c.Fatalf("delivery: %+v", g.Delivery)
		}
		if g.Posting == nil || g.Posting.Message != "7" || g.Posting.Chat != chatID("-1001") {
			c.Fatalf("posting: %+v", g.Posting)
		}
		c.same(g.Pace.TAT, at(3), "theoretical arrival time")
		c.settle(at(5), g, chokepoint.Outcome{Kind: chokepoint.Sent})
		c.same(c.grant(at(5)).Delivery.Alert, chokepoint.AlertID("bbbbbbbb"), "next alert")
	}},
	{"platforms are apart", func(c *client) {
		d := chokepoint.ChatID{Platform: chokepoint.Discord, ID: "1"}
		c.putChat(chokepoint.Chat{ID: d, Topics: []chokepoint.Topic{topic}})
		c.publish(at(1), alert("aaaaaaaa", 1))
		c.spread(at(1))
		c.none(at(2), "it is owed on Discord")
		c.same(c.due(), time.Time{}, "due on Telegram")
		due, err := c.s.Due(c.ctx, chokepoint.Discord)
		c.ok(err, "due")
		c.same(due, at(1), "due on Discord")
	}},
	{"one alert for many chats is shared by their grants", func(c *client) {
		for i := range 300 {
			c.putChat(follower(strconv.Itoa(i)))
		}
		c.publish(at(1), everyField("k7f3q2ma"))
		c.spread(at(1))
		gs := c.grants(at(1), 1000)
		c.same(len(gs), 300, "grants")
		var batch []chokepoint.Settlement
		for _, g := range gs {
			c.same(g.Alert.ID, chokepoint.AlertID("k7f3q2ma"), "alert")
			batch = append(batch, chokepoint.Settlement{Grant: g, Outcome: chokepoint.Outcome{
				Kind: chokepoint.Sent, Posting: &chokepoint.Posting{Chat: g.Chat.ID, Story: g.Alert.Story, Alert: g.Alert.ID, Message: "m" + g.Chat.ID.ID},
			}})
		}
		lost, err := c.s.Settle(c.ctx, at(2), batch)
		c.ok(err, "settle")
		c.same(len(lost), 0, "lost")
		p, err := c.s.Posting(c.ctx, chatID("299"), "k7f3q2ma")
		c.ok(err, "posting")
		c.same(p.Message, "m299", "message")
		c.same(c.depth(at(2)), chokepoint.Depth{}, "depth")
	}},
}
