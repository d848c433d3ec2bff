package storetest

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

// owed is a delivery as the model knows it.
type owed struct {
	alert     chokepoint.AlertID
	seq       int
	notBefore time.Time
	attempts  int
	unknown   int
	lastErr   string
}

// lane is a chat's deliveries as the model knows them.
type lane struct {
	queue   []*owed // by seq
	hold    time.Time
	tat     time.Time
	granted *owed
	expires time.Time
}

func (l *lane) next(now time.Time) *owed {
	if l.hold.After(now) || l.granted != nil && l.expires.After(now) {
		return nil
	}
	for _, o := range l.queue {
		if !o.notBefore.After(now) {
			return o
		}
	}
	return nil
}

// due is when the lane falls due, zero if it does not.
func (l *lane) due() time.Time {
	if l.granted != nil || len(l.queue) == 0 {
		return time.Time{}
	}
	first := slices.MinFunc(l.queue, func(a, b *owed) int { return a.notBefore.Compare(b.notBefore) }).notBefore
	if l.hold.After(first) {
		return l.hold
	}
	return first
}

func (l *lane) drop(o *owed) {
	l.queue = slices.DeleteFunc(l.queue, func(x *owed) bool { return x == o })
}

// outboxAgainstModel does random things to an outbox and to a model of it,
// and expects of both the same. Rounds share a store: each has a platform and
// topics of its own.
func outboxAgainstModel(c *client) {
	round := 0
	rapid.Check(c.T, func(t *rapid.T) {
		round++
		platform := chokepoint.Platform(fmt.Sprintf("p%d", round))
		topics := []chokepoint.Topic{chokepoint.Topic(fmt.Sprintf("a%d", round)), chokepoint.Topic(fmt.Sprintf("b%d", round))}
		now := at(0)
		chats := map[string]chokepoint.Chat{}
		lanes := map[string]*lane{}
		seq, names := 0, 0
		type held struct {
			chokepoint.Grant
			o *owed
		}
		var out []held // every grant ever made
		dead := map[chokepoint.AlertID]map[string]bool{}

		check := func(err error, doing string) {
			if err != nil {
				t.Fatalf("%s: %v", doing, err)
			}
		}
		id := func(name string) chokepoint.ChatID { return chokepoint.ChatID{Platform: platform, ID: name} }
		newChat := func() {
			names++
			name := fmt.Sprintf("c%d", names)
			chat := chokepoint.Chat{ID: id(name), Topics: topics[:rapid.IntRange(1, 2).Draw(t, "topics")]}
			check(c.s.PutChat(c.ctx, chat), "put chat")
			chats[name], lanes[name] = chat, &lane{}
		}
		pick := func(what string) string {
			return rapid.SampledFrom(slices.Sorted(maps.Keys(chats))).Draw(t, what)
		}
		for range rapid.IntRange(1, 4).Draw(t, "chats") {
			newChat()
		}
		settle := func(i int, o chokepoint.Outcome) {
			g := out[i]
			name := g.Chat.ID.ID
			l := lanes[name]
			good := l != nil && l.granted == g.o && g.o != nil && g.Expires.Equal(l.expires) && slices.Contains(l.queue, g.o)
			lost, err := c.s.Settle(c.ctx, now, []chokepoint.Settlement{{Grant: g.Grant, Outcome: o}})
			check(err, "settle")
			if good != (len(lost) == 0) {
				t.Fatalf("settle %s to %s: lost is %v, good is %t", g.Alert.ID, name, lost, good)
			}
			if !good {
				return
			}
			out[i].o = nil // settled once
			l.granted, l.tat, l.hold = nil, o.Pace.TAT, time.Time{}
			switch o.Kind {
			case chokepoint.Sent, chokepoint.Dropped:
				l.drop(g.o)
			case chokepoint.Retry:
				g.o.attempts++
				g.o.lastErr = o.Reason
				if o.Unknown {
					g.o.unknown++
				}
				l.hold = o.NotBefore
			case chokepoint.Snooze:
				g.o.notBefore = o.NotBefore
				if o.Hold {
					l.hold = o.NotBefore
				}
			case chokepoint.Dead:
				l.drop(g.o)
				if dead[g.o.alert] == nil {
					dead[g.o.alert] = map[string]bool{}
				}
				dead[g.o.alert][name] = true
				if o.Gone {
					l.queue = nil
					chat := chats[name]
					chat.Gone = o.Reason
					chats[name] = chat
				}
			}
		}

		t.Repeat(map[string]func(*rapid.T){
			"time passes": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(0, 40_000).Draw(t, "ms")) * time.Millisecond)
			},
			"an alert is published and spread": func(t *rapid.T) {
				seq++
				a := alert(fmt.Sprintf("r%dn%d", round, seq), 0)
				a.Topic = rapid.SampledFrom(topics).Draw(t, "topic")
				some := rapid.SliceOfNDistinct(rapid.SampledFrom(slices.Sorted(maps.Keys(chats))), 0, len(chats), rapid.ID[string]).Draw(t, "only")
				for _, name := range some {
					a.Only = append(a.Only, id(name))
				}
				for range 2 { // twice, which is once
					check(c.s.Publish(c.ctx, now, []chokepoint.Alert{a}), "publish")
					for more := true; more; {
						var err error
						more, err = c.s.Spread(c.ctx, now, rapid.IntRange(1, 5).Draw(t, "page"))
						check(err, "spread")
					}
				}
				for name, chat := range chats {
					wanted := chat.Follows(a.Topic)
					if len(some) > 0 {
						wanted = slices.Contains(some, name)
					}
					if wanted && chat.Gone == "" {
						lanes[name].queue = append(lanes[name].queue, &owed{alert: a.ID, seq: seq, notBefore: now})
					}
				}
			},
			"lanes are granted": func(t *rapid.T) {
				n := rapid.IntRange(1, 6).Draw(t, "n")
				want := map[string]*owed{}
				for name, l := range lanes {
					if o := l.next(now); o != nil {
						want[name] = o
					}
				}
				gs, err := c.s.Grants(c.ctx, now, platform, "w", ttl, n)
				check(err, "grants")
				if len(gs) != min(n, len(want)) {
					t.Fatalf("%d grants of %d lanes, %d due", len(gs), n, len(want))
				}
				for _, g := range gs {
					name := g.Chat.ID.ID
					o := want[name]
					if o == nil {
						t.Fatalf("granted %s to %s, which is not due, or granted twice", g.Alert.ID, name)
					}
					delete(want, name)
					l := lanes[name]
					if g.Alert.ID != o.alert || g.Delivery.Attempts != o.attempts || g.Delivery.Unknown != o.unknown || g.Delivery.LastErr != o.lastErr || !g.Pace.TAT.Equal(l.tat) {
						t.Fatalf("granted to %s: %+v with pace %v, want %+v with pace %v", name, g.Delivery, g.Pace.TAT, *o, l.tat)
					}
					if g.Chat.Gone != chats[name].Gone || !g.Expires.Equal(now.Add(ttl)) {
						t.Fatalf("granted to %s: chat %+v, until %v", name, g.Chat, g.Expires)
					}
					l.granted, l.expires = o, g.Expires
					out = append(out, held{g, o})
				}
			},
			"a grant is settled": func(t *rapid.T) {
				if len(out) == 0 {
					t.Skip("there is none")
				}
				// Mostly late ones, which may still be good.
				i := len(out) - 1 - rapid.IntRange(0, min(len(out), 8)-1).Draw(t, "grant")
				o := chokepoint.Outcome{
					Kind:      rapid.SampledFrom([]chokepoint.OutcomeKind{chokepoint.Sent, chokepoint.Sent, chokepoint.Retry, chokepoint.Snooze, chokepoint.Snooze, chokepoint.Dropped, chokepoint.Dead}).Draw(t, "kind"),
					NotBefore: now.Add(time.Duration(rapid.IntRange(0, 60_000).Draw(t, "ms")) * time.Millisecond),
					Reason:    "reason",
				}
				o.Hold = o.Kind == chokepoint.Snooze && rapid.Bool().Draw(t, "hold")
				o.Unknown = (o.Kind == chokepoint.Retry || o.Kind == chokepoint.Dead) && rapid.Bool().Draw(t, "unknown")
				o.Gone = o.Kind == chokepoint.Dead && rapid.IntRange(0, 5).Draw(t, "gone") == 0
				if rapid.Bool().Draw(t, "paced") {
					o.Pace.TAT = now.Add(time.Second)
				}
				settle(i, o)
			},
			"a dead letter is requeued": func(t *rapid.T) {
				ds, err := c.s.DeadLetters(c.ctx, 1_000_000)
				check(err, "dead letters")
				n := 0
				var again *chokepoint.Delivery
				for _, d := range ds {
					if d.Chat.Platform == platform {
						n++
						again = &d
						if !dead[d.Alert][d.Chat.ID] {
							t.Fatalf("dead letter %s to %s is none", d.Alert, d.Chat.ID)
						}
					}
				}
				want := 0
				for _, names := range dead {
					want += len(names)
				}
				if n != want {
					t.Fatalf("%d dead letters, want %d", n, want)
				}
				if again == nil {
					t.Skip("there is none")
				}
				check(c.s.Requeue(c.ctx, now, again.ID), "requeue")
				delete(dead[again.Alert], again.Chat.ID)
				seq++
				l := lanes[again.Chat.ID]
				l.queue = append(l.queue, &owed{alert: again.Alert, seq: seq, notBefore: now})
			},
			"a chat comes": func(t *rapid.T) { newChat() },
			"a chat comes back": func(t *rapid.T) {
				name := pick("chat")
				chat := chats[name]
				chat.Gone = ""
				check(c.s.PutChat(c.ctx, chat), "put chat")
				chats[name] = chat
			},
			"a chat moves": func(t *rapid.T) {
				from := pick("from")
				if lanes[from].granted != nil {
					t.Skip("what becomes of a grant that is out is the store's affair")
				}
				names++
				to := fmt.Sprintf("c%d", names)
				check(c.s.MoveChat(c.ctx, now, id(from), id(to)), "move chat")
				chat := chats[from]
				chat.ID = id(to)
				chats[to], lanes[to] = chat, lanes[from]
				delete(chats, from)
				delete(lanes, from)
				for _, names := range dead {
					if names[from] {
						delete(names, from)
						names[to] = true
					}
				}
			},
			"": func(t *rapid.T) {
				var want time.Time
				for _, l := range lanes {
					if d := l.due(); !d.IsZero() && (want.IsZero() || d.Before(want)) {
						want = d
					}
				}
				got, err := c.s.Due(c.ctx, platform)
				check(err, "due")
				// What is due already is due "in the past", whenever that was.
				if got.IsZero() != want.IsZero() || want.After(now) && !got.Equal(want) || !want.After(now) && got.After(now) {
					t.Fatalf("due is %v, want %v, now is %v", got, want, now)
				}
			},
		})
	})
}
