package storetest

import (
	"strconv"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/store"
)

var deskTests = []test{
	{"a chat comes back with every field", func(c *client) {
		want := chokepoint.Chat{
			ID: chatID("-1001/7"), Title: "光 <desk>", Language: chokepoint.Chinese, Zone: "Asia/Shanghai", Topics: []chokepoint.Topic{"aaoi-texas", "ops"},
			MinSeverity: chokepoint.Urgent, Quiet: chokepoint.QuietHours{From: 1380, To: 420}, Muted: fine(at(60)),
			MutedStories: map[chokepoint.StoryID]time.Time{"k7f3q2ma": fine(at(90))}, Gone: "bot was kicked", Changed: fine(at(1)),
		}
		c.putChat(want)
		got := c.chat(want.ID)
		c.same(got, want, "chat")
		if got.Muted.Location() != time.UTC {
			c.Errorf("zone is %v, want UTC", got.Muted.Location())
		}
		got.Topics[0] = "scribbled" // what is returned is the caller's to change
		c.same(c.chat(want.ID), want, "chat read again")
		bare := chokepoint.Chat{ID: chokepoint.ChatID{Platform: chokepoint.Discord, ID: "-1001/7"}}
		c.putChat(bare)
		c.same(c.chat(bare.ID), bare, "bare chat of the same ID on another platform")
		_, err := c.s.Chat(c.ctx, chatID("nobody"))
		c.fails(err, chokepoint.ErrNotFound, "chat that is not there")
	}},
	{"chats are by ID", func(c *client) {
		ids := []chokepoint.ChatID{{Platform: "discord", ID: "9"}, {Platform: "telegram", ID: "-1"}, {Platform: "telegram", ID: "5"}}
		for _, i := range []int{2, 0, 1} {
			c.putChat(chokepoint.Chat{ID: ids[i]})
		}
		chats, err := c.s.Chats(c.ctx)
		c.ok(err, "chats")
		c.same(len(chats), 3, "chats")
		for i := range ids {
			c.same(chats[i].ID, ids[i], "chat "+strconv.Itoa(i))
		}
	}},
	{"a posting comes back with every field, one for each chat and story", func(c *client) {
		want := chokepoint.Posting{Chat: chatID("1"), Story: "k7f3q2ma", Alert: "k7f3q2ma-1", Message: "42/43", Thread: "44", Edited: fine(at(5))}
		c.ok(c.s.PutPosting(c.ctx, want), "put posting")
		got, err := c.s.Posting(c.ctx, want.Chat, want.Story)
		c.ok(err, "posting")
		c.same(got, want, "posting")
		want.Alert, want.Thread = "k7f3q2ma-2", ""
		c.ok(c.s.PutPosting(c.ctx, want), "put posting")
		got, _ = c.s.Posting(c.ctx, want.Chat, want.Story)
		c.same(got, want, "posting after a change")
		_, err = c.s.Posting(c.ctx, chatID("2"), want.Story)
		c.fails(err, chokepoint.ErrNotFound, "posting in another chat")
		_, err = c.s.Posting(c.ctx, want.Chat, "otherone")
		c.fails(err, chokepoint.ErrNotFound, "posting of another story")
	}},
	{"alerts are picked by topic, story and chat, newest first", func(c *client) {
		mk := func(id string, when float64, f func(*chokepoint.Alert)) chokepoint.Alert {
			a := alert(id, when)
			if f != nil {
				f(&a)
			}
			return a
		}
		c.publish(at(9),
			mk("aaaaaaaa", 1, nil),
			mk("bbbbbbbb", 2, func(a *chokepoint.Alert) { a.Topic = "lta" }),
			mk("aaaaaaaa-1", 3, func(a *chokepoint.Alert) { a.Update = 1 }),
			mk("cccccccc", 4, func(a *chokepoint.Alert) {
				a.Topic, a.Only = "prices", []chokepoint.ChatID{chatID("1"), chatID("2")}
			}),
			mk("dddddddd", 5, func(a *chokepoint.Alert) { a.Topic, a.Only = "prices", []chokepoint.ChatID{chatID("3")} }),
		)
		for _, q := range []struct {
			store.AlertQuery
			want []chokepoint.AlertID
		}{
			{store.AlertQuery{}, []chokepoint.AlertID{"dddddddd", "cccccccc", "aaaaaaaa-1", "bbbbbbbb", "aaaaaaaa"}},
			{store.AlertQuery{N: 2}, []chokepoint.AlertID{"dddddddd", "cccccccc"}},
			{store.AlertQuery{Topic: "aaoi-texas"}, []chokepoint.AlertID{"aaaaaaaa-1", "aaaaaaaa"}},
			{store.AlertQuery{Story: "aaaaaaaa", N: 1}, []chokepoint.AlertID{"aaaaaaaa-1"}},
			{store.AlertQuery{Story: "aaaaaaaa", Topic: "lta"}, nil},
			{store.AlertQuery{Chat: chatID("1")}, []chokepoint.AlertID{"cccccccc", "aaaaaaaa-1", "bbbbbbbb", "aaaaaaaa"}},
			{store.AlertQuery{Chat: chatID("2"), Topic: "prices"}, []chokepoint.AlertID{"cccccccc"}},
			{store.AlertQuery{Chat: chatID("9"), N: 1}, []chokepoint.AlertID{"aaaaaaaa-1"}},
			{store.AlertQuery{Chat: chatID("9"), Topic: "prices"}, nil},
			{store.AlertQuery{Topic: "nothing"}, nil},
		} {
			c.same(c.alerts(q.AlertQuery), q.want, "alerts")
		}
		_, err := c.s.Alert(c.ctx, "nosuchid")
		c.fails(err, chokepoint.ErrNotFound, "alert that is not there")
	}},
	{"ten alerts are the most that a query gets unless it says otherwise", func(c *client) {
		for i := range 12 {
			c.publish(at(float64(i)), alert("story"+strconv.Itoa(i), float64(i)))
		}
		c.same(len(c.alerts(store.AlertQuery{})), 10, "alerts")
		c.same(len(c.alerts(store.AlertQuery{N: 100})), 12, "alerts")
	}},
	{"a mark is a small named value", func(c *client) {
		v, err := c.s.Mark(c.ctx, "telegram/offset")
		c.ok(err, "mark")
		c.same(v, "", "mark before it is put")
		c.ok(c.s.PutMark(c.ctx, "telegram/offset", "123"), "put mark")
		c.ok(c.s.PutMark(c.ctx, "telegram/offset", "124"), "put mark")
		c.ok(c.s.PutMark(c.ctx, "other", "x"), "put mark")
		v, _ = c.s.Mark(c.ctx, "telegram/offset")
		c.same(v, "124", "mark")
		c.ok(c.s.PutMark(c.ctx, "other", ""), "put an empty mark")
		v, _ = c.s.Mark(c.ctx, "other")
		c.same(v, "", "emptied mark")
	}},
	{"what hostile text is written is read as it was", func(c *client) {
		for _, id := range []string{"a'b", `a"b`, "a:b", "a{b}c", "a*b?", "a\x00b", "日本", "a b\n", "%41", "\\"} {
			chat := chokepoint.Chat{ID: chatID(id), Title: id, Topics: []chokepoint.Topic{chokepoint.Topic(id)}}
			c.putChat(chat)
			c.same(c.chat(chat.ID), chat, "chat "+strconv.Quote(id))
			r := chokepoint.Rule{Chat: chat.ID, ID: id, Symbol: chokepoint.Symbol(id), Text: id}
			c.putRule(r)
			c.same(c.rules(chat.ID), []chokepoint.Rule{r}, "rules of "+strconv.Quote(id))
			c.ok(c.s.PutMark(c.ctx, id, id), "put mark")
			m, err := c.s.Mark(c.ctx, id)
			c.ok(err, "mark")
			c.same(m, id, "mark")
			a := alert("story"+strconv.Quote(id), 1)
			a.Topic = chokepoint.Topic(id)
			c.publish(at(1), a)
			c.spread(at(1))
			g := c.grant(at(1))
			c.same(g.Chat, chat, "granted chat")
			c.settle(at(1), g, chokepoint.Outcome{Kind: chokepoint.Sent})
		}
	}},
	{"a store that works answers a ping, and may be closed twice", func(c *client) {
		c.ok(c.s.Ping(c.ctx), "ping")
		c.ok(c.s.Close(), "close")
		c.ok(c.s.Close(), "close again")
		if err := c.s.Ping(c.ctx); err == nil {
			c.Error("a closed store answers a ping")
		}
	}},
}

var moveTests = []test{
	{"a chat that moves takes everything along", func(c *client) {
		from, to := chatID("-1"), chatID("-1001")
		chat := follower("-1")
		chat.Title = "desk"
		c.putChat(chat)
		r := chokepoint.Rule{Chat: from, ID: "r1", Symbol: "AAOI", Text: "below 20", State: []byte("s"), Made: at(1)}
		c.putRule(r)
		p := chokepoint.Posting{Chat: from, Story: "aaaaaaaa", Alert: "aaaaaaaa", Message: "7"}
		c.ok(c.s.PutPosting(c.ctx, p), "put posting")
		c.publish(at(1), alert("aaaaaaaa", 1))
		c.spread(at(1))
		c.settle(at(1), c.grant(at(1)), chokepoint.Outcome{Kind: chokepoint.Retry, NotBefore: at(10), Reason: "busy", Pace: chokepoint.Pace{TAT: at(4)}})
		c.publish(at(2), alert("bbbbbbbb", 2))
		c.spread(at(2))

		c.ok(c.s.MoveChat(c.ctx, at(3), from, to), "move chat")
		_, err := c.s.Chat(c.ctx, from)
		c.fails(err, chokepoint.ErrNotFound, "chat under its old ID")
		chat.ID = to
		c.same(c.chat(to), chat, "chat under its new ID")
		r.Chat = to
		c.same(c.rules(to), []chokepoint.Rule{r}, "rules")
		c.same(len(c.rules(from)), 0, "rules under the old ID")
		p.Chat = to
		got, err := c.s.Posting(c.ctx, to, p.Story)
		c.ok(err, "posting")
		c.same(got, p, "posting")
		_, err = c.s.Posting(c.ctx, from, p.Story)
		c.fails(err, chokepoint.ErrNotFound, "posting under the old ID")

		c.none(at(9), "a retry holds the lane, wherever it goes")
		g := c.grant(at(10))
		c.same(g.Delivery.Chat, to, "chat of the delivery")
		c.same(g.Delivery.Alert, chokepoint.AlertID("aaaaaaaa"), "alert")
		c.same(g.Delivery.Attempts, 1, "attempts")
		c.same(g.Chat, chat, "granted chat")
		c.same(g.Pace, chokepoint.Pace{TAT: at(4)}, "pace")
		c.settle(at(10), g, chokepoint.Outcome{Kind: chokepoint.Sent})
		g = c.grant(at(10))
		c.same(g.Delivery.Alert, chokepoint.AlertID("bbbbbbbb"), "next alert")
		c.settle(at(10), g, chokepoint.Outcome{Kind: chokepoint.Sent})

		// It follows what it followed.
		c.publish(at(11), alert("cccccccc", 11))
		c.spread(at(11))
		c.same(c.grant(at(11)).Delivery.Chat, to, "chat of a new delivery")
	}},
	{"to a chat that is known: what is owed to both is kept, and its settings stay", func(c *client) {
		from, to := chatID("-1"), chatID("-1001")
		old, known := follower("-1"), follower("-1001")
		old.Title, known.Title = "old", "known"
		c.putChat(old)
		c.putChat(known)
		c.putRule(chokepoint.Rule{Chat: from, ID: "r1", Symbol: "AAOI", Text: "theirs", Made: at(1)})
		c.putRule(chokepoint.Rule{Chat: from, ID: "r2", Symbol: "AAOI", Text: "moves", Made: at(2)})
		c.putRule(chokepoint.Rule{Chat: to, ID: "r1", Symbol: "AAOI", Text: "stays", Made: at(3)})
		c.ok(c.s.PutPosting(c.ctx, chokepoint.Posting{Chat: from, Story: "aaaaaaaa", Message: "old"}), "put posting")
		c.ok(c.s.PutPosting(c.ctx, chokepoint.Posting{Chat: from, Story: "bbbbbbbb", Message: "moves"}), "put posting")
		c.ok(c.s.PutPosting(c.ctx, chokepoint.Posting{Chat: to, Story: "aaaaaaaa", Message: "stays"}), "put posting")
		a, b := alert("aaaaaaaa", 1), alert("bbbbbbbb", 2)
		a.Only, b.Only = []chokepoint.ChatID{from}, []chokepoint.ChatID{to}
		c.publish(at(1), a, b)
		c.spread(at(1))

		c.ok(c.s.MoveChat(c.ctx, at(3), from, to), "move chat")
		c.same(c.chat(to).Title, "known", "title")
		_, err := c.s.Chat(c.ctx, from)
		c.fails(err, chokepoint.ErrNotFound, "chat under its old ID")
		var texts []string
		for _, r := range c.rules(to) {
			texts = append(texts, r.Text)
		}
		c.same(texts, []string{"moves", "stays"}, "rules")
		p, err := c.s.Posting(c.ctx, to, "aaaaaaaa")
		c.ok(err, "posting")
		c.same(p.Message, "stays", "message of the posting that both had")
		p, err = c.s.Posting(c.ctx, to, "bbbbbbbb")
		c.ok(err, "posting")
		c.same(p.Message, "moves", "message of the posting that moved")

		var owed []chokepoint.AlertID
		for range 2 {
			g := c.grant(at(4))
			c.same(g.Delivery.Chat, to, "chat of the delivery")
			owed = append(owed, g.Delivery.Alert)
			c.settle(at(4), g, chokepoint.Outcome{Kind: chokepoint.Sent})
		}
		c.same(owed, []chokepoint.AlertID{"aaaaaaaa", "bbbbbbbb"}, "owed")
		c.same(c.depth(at(4)), chokepoint.Depth{}, "depth")
	}},
	{"an unknown chat does not move", func(c *client) {
		c.ok(c.s.MoveChat(c.ctx, at(1), chatID("nobody"), chatID("2")), "move chat")
		_, err := c.s.Chat(c.ctx, chatID("2"))
		c.fails(err, chokepoint.ErrNotFound, "chat that nobody moved to")
	}},
	{"moving twice, or to itself, does no harm", func(c *client) {
		c.putChat(follower("1"))
		c.publish(at(1), alert("aaaaaaaa", 1))
		c.spread(at(1))
		c.ok(c.s.MoveChat(c.ctx, at(2), chatID("1"), chatID("1")), "move chat to itself")
		c.ok(c.s.MoveChat(c.ctx, at(2), chatID("1"), chatID("2")), "move chat")
		c.ok(c.s.MoveChat(c.ctx, at(2), chatID("1"), chatID("2")), "move chat again")
		c.same(c.chat(chatID("2")).Topics, follower("2").Topics, "topics")
		c.same(c.grant(at(3)).Delivery.Chat, chatID("2"), "chat of the delivery")
	}},
	{"dead letters follow a chat that moved", func(c *client) {
		c.putChat(follower("1"))
		c.publish(at(1), alert("aaaaaaaa", 1))
		c.spread(at(1))
		c.settle(at(1), c.grant(at(1)), chokepoint.Outcome{Kind: chokepoint.Dead, Reason: "x"})
		c.ok(c.s.MoveChat(c.ctx, at(2), chatID("1"), chatID("2")), "move chat")
		d := c.dead(10)
		c.same(len(d), 1, "dead letters")
		c.same(d[0].Chat, chatID("2"), "chat of the dead letter")
		c.ok(c.s.Requeue(c.ctx, at(3), d[0].ID), "requeue")
		c.same(c.grant(at(3)).Chat, follower("2"), "granted chat")
	}},
	{"a move while a grant is out loses nothing", func(c *client) {
		c.putChat(follower("1"))
		c.publish(at(1), alert("aaaaaaaa", 1), alert("bbbbbbbb", 2))
		c.spread(at(1))
		out := c.grant(at(1))
		c.ok(c.s.MoveChat(c.ctx, at(2), chatID("1"), chatID("2")), "move chat")
		// The grant may still be good or be lost; if lost, it is owed again.
		lost, err := c.s.Settle(c.ctx, at(3), []chokepoint.Settlement{{Grant: out, Outcome: chokepoint.Outcome{Kind: chokepoint.Sent}}})
		c.ok(err, "settle")
		want := []chokepoint.AlertID{"aaaaaaaa", "bbbbbbbb"}[1-len(lost):]
		var owed []chokepoint.AlertID
		for range want {
			g := c.grant(at(60))
			c.same(g.Delivery.Chat, chatID("2"), "chat of the delivery")
			owed = append(owed, g.Delivery.Alert)
			c.settle(at(60), g, chokepoint.Outcome{Kind: chokepoint.Sent})
		}
		c.same(owed, want, "owed")
		c.same(c.depth(at(60)), chokepoint.Depth{}, "depth")
	}},
}
