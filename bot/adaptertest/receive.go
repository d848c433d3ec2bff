package adaptertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/chokepoint-bot/chokepoint/bot"
	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

// person is who speaks where it does not matter who.
const person = "1001"

// receiver is an adapter's Run under way.
type receiver struct {
	c      *client
	cancel context.CancelFunc
	done   chan error

	mu   sync.Mutex
	got  []bot.Inbound
	more chan struct{} // closed and replaced when got grows
}

// receive starts Run and returns once it receives. Each inbound is noted, then
// handed to handle unless that is nil.
func (c *client) receive(handle func(context.Context, bot.Inbound)) *receiver {
	c.Helper()
	ctx, cancel := context.WithCancel(c.ctx)
	r := &receiver{c: c, cancel: cancel, done: make(chan error, 1), more: make(chan struct{})}
	go func() {
		r.done <- c.Adapter.Run(ctx, Menu, func(ctx context.Context, in bot.Inbound) {
			r.mu.Lock()
			r.got = append(r.got, in)
			close(r.more)
			r.more = make(chan struct{})
			r.mu.Unlock()
			if handle != nil {
				handle(ctx, in)
			}
		})
	}()
	c.Cleanup(cancel)
	r.ready()
	return r
}

// ready waits until the adapter receives.
func (r *receiver) ready() {
	r.c.Helper()
	ctx, cancel := context.WithTimeout(r.c.ctx, patience)
	defer cancel()
	if err := r.c.Peer.Receiving(ctx); err != nil {
		select {
		case err := <-r.done:
			r.c.Fatalf("Run returned before it received: %v", err)
		default:
			r.c.Fatalf("Run does not receive: %v", err)
		}
	}
}

// next waits for the first inbound of that text.
func (r *receiver) next(text string) bot.Inbound {
	r.c.Helper()
	late := time.After(patience)
	for {
		r.mu.Lock()
		more := r.more
		i := slices.IndexFunc(r.got, func(in bot.Inbound) bool { return in.Text == text })
		var in bot.Inbound
		if i >= 0 {
			in = r.got[i]
		}
		seen := r.texts()
		r.mu.Unlock()
		if i >= 0 {
			return in
		}
		select {
		case <-more:
		case err := <-r.done:
			r.c.Fatalf("Run returned (%v) before %q came; there came %q", err, text, seen)
		case <-late:
			r.c.Fatalf("%q did not come; there came %q", text, seen)
		}
	}
}

func (r *receiver) texts() (all []string) {
	for _, in := range r.got {
		all = append(all, in.Text)
	}
	return all
}

// stop says one last command, waits for it, ends Run, and returns all that
// came before.
func (r *receiver) stop() []bot.Inbound {
	r.c.Helper()
	r.c.Peer.Say(Said{Chat: r.c.Chat, User: person, Text: "/why lastofall"})
	r.next("/why lastofall")
	r.end()
	return slices.DeleteFunc(r.got, func(in bot.Inbound) bool { return in.Text == "/why lastofall" })
}

// end ends Run.
func (r *receiver) end() {
	r.c.Helper()
	r.cancel()
	select {
	case err := <-r.done:
		if err != nil {
			r.c.Errorf("Run returned %v when its context ended, want nil", err)
		}
	case <-time.After(patience):
		r.c.Fatal("Run did not return when its context ended")
	}
}

// only checks that exactly these texts came, in any order.
func (r *receiver) only(all []bot.Inbound, want ...string) {
	r.c.Helper()
	var got []string
	for _, in := range all {
		got = append(got, in.Text)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		r.c.Errorf("there came %q, want %q", got, want)
	}
}

// runEnds is the case of a Run that ends while a command is being handled.
func runEnds(c *client) {
	entered, release := make(chan struct{}), make(chan struct{})
	r := c.receive(func(ctx context.Context, _ bot.Inbound) {
		close(entered)
		<-ctx.Done() // handlers are told
		<-release
	})
	c.Peer.Say(Said{Chat: c.Chat, User: person, Text: "/status"})
	c.within("the handler", func() { <-entered })
	r.cancel()
	select {
	case err := <-r.done:
		c.Errorf("Run returned %v while a command was being handled", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(release)
	select {
	case err := <-r.done:
		if err != nil {
			c.Errorf("Run returned %v when its context ended, want nil", err)
		}
	case <-time.After(patience):
		c.Fatal("Run did not return after the last command was handled")
	}
}

var receiveTests = []test{
	{"a command arrives as it was typed", func(c *client) {
		r := c.receive(nil)
		want := []string{"/status", "/alert AAOI", "/alert AAOI below 20", `/alert SIVE.ST below "20  000" 'x' “引号” <b> & *y* \z`, "/alert 4979.TWO 跌破 20 一次", "/why k7f3q2ma"}
		for _, s := range want {
			c.Peer.Say(Said{Chat: c.Chat, User: "1002", Text: s})
			in := r.next(s)
			if in.Chat != c.Chat || in.ID == "" || in.Thread != "" || in.User == "" {
				c.Errorf("%q arrived as %+v", s, in)
			}
			if age := time.Since(in.At).Abs(); age > time.Minute {
				c.Errorf("%q arrived as of %s", s, in.At)
			}
			if _, lacks := c.Lacks[Groups]; in.Group == lacks {
				c.Errorf("%q: group is %t", s, in.Group)
			}
			if _, lacks := c.Lacks[Groups]; !lacks && in.User != "1002" {
				c.Errorf("%q was said by %q", s, in.User)
			}
		}
		all := r.stop()
		r.only(all, want...)
		ids := map[string]bool{}
		for _, in := range all {
			ids[in.ID] = true
		}
		if len(ids) != len(want) {
			c.Errorf("%d events share IDs: %+v", len(want), all)
		}
	}},
	{"the same command said twice is two events", func(c *client) {
		r := c.receive(nil)
		for range 2 {
			c.Peer.Say(Said{Chat: c.Chat, User: person, Text: "/status"})
		}
		all := r.stop()
		r.only(all, "/status", "/status")
		if len(all) == 2 && all[0].ID == all[1].ID {
			c.Errorf("both have the ID %s", all[0].ID)
		}
	}},
	{"an event that is delivered again has its ID", func(c *client) {
		c.needs(Repeats)
		r := c.receive(nil)
		c.Peer.Say(Said{Chat: c.Chat, User: person, Text: "/why once"})
		first := r.next("/why once")
		c.Peer.Repeat()
		for _, in := range r.stop() {
			if in.ID != first.ID || in.Text != first.Text {
				c.Errorf("first %+v, then %+v", first, in)
			}
		}
	}},
	{"a mention arrives without the bot's name", func(c *client) {
		c.needs(Mentions)
		r := c.receive(nil)
		want := []string{"how is Texas?", "德州怎么样?", "price AAOI <b> & *c*"}
		for _, s := range want {
			c.Peer.Say(Said{Chat: c.Chat, User: person, Text: s, Mention: true})
			r.next(s)
		}
		r.only(r.stop(), want...)
	}},
	{"what people say to each other is not the bot's", func(c *client) {
		c.needs(Groups)
		r := c.receive(nil)
		c.Peer.Say(Said{Chat: c.Chat, User: person, Text: "good morning"})
		c.Peer.Say(Said{Chat: c.Chat, User: person, Text: "see a/b and /status at the end"})
		r.only(r.stop())
	}},
	{"other bots and the bot itself are not obeyed", func(c *client) {
		r := c.receive(nil)
		if _, lacks := c.Lacks[Bots]; !lacks {
			c.Peer.Say(Said{Chat: c.Chat, User: "2001", Bot: true, Text: "/why bot"})
			if _, lacks := c.Lacks[Mentions]; !lacks {
				c.Peer.Say(Said{Chat: c.Chat, User: "2001", Bot: true, Text: "hello", Mention: true})
			}
		}
		if _, lacks := c.Lacks[Self]; !lacks {
			c.Peer.Say(Said{Chat: c.Chat, Self: true, Text: "/why self"})
		}
		r.only(r.stop())
		c.needs(Bots, Self)
	}},
	{"what is changed afterwards is not obeyed twice", func(c *client) {
		c.needs(Amending)
		r := c.receive(nil)
		said := c.Peer.Say(Said{Chat: c.Chat, User: person, Text: "/why first"})
		r.next("/why first")
		c.Peer.Amend(said, "/why second")
		want := []string{"/why first"}
		if _, lacks := c.Lacks[Mentions]; !lacks {
			said := c.Peer.Say(Said{Chat: c.Chat, User: person, Text: "how is Texas?", Mention: true})
			r.next("how is Texas?")
			c.Peer.Amend(said, "how is Houston?")
			want = append(want, "how is Texas?")
		}
		r.only(r.stop(), want...)
	}},
	{"what was said more than five minutes ago is not obeyed", func(c *client) {
		c.needs(Ageing)
		r := c.receive(nil)
		c.Peer.Say(Said{Chat: c.Chat, User: person, Text: "/why old", At: time.Now().Add(-6 * time.Minute)})
		c.Peer.Say(Said{Chat: c.Chat, User: person, Text: "/why young", At: time.Now().Add(-4 * time.Minute)})
		r.only(r.stop(), "/why young")
	}},
	{"a private chat is its person's own", func(c *client) {
		c.needs(Privates)
		r := c.receive(nil)
		c.Peer.Say(Said{Chat: c.Private, User: person, Text: "/status"})
		in := r.next("/status")
		if in.Group || in.Chat != c.Private || in.User != person {
			c.Errorf("arrived as %+v", in)
		}
		if ok, err := in.Admin(c.ctx); !ok || err != nil {
			c.Errorf("admin %t, %v", ok, err)
		}
		c.Peer.Say(Said{Chat: c.Private, User: person, Text: "how is Texas?"})
		r.next("how is Texas?")
		if err := c.Adapter.Reply(c.ctx, in, text("well")); err != nil {
			c.Fatal(err)
		}
		if s := c.shown(1)[0]; s.Chat != c.Private {
			c.Errorf("shown as %+v", s)
		}
		r.end()
	}},
	{"a group's admins are known", func(c *client) {
		c.needs(Groups)
		r := c.receive(nil)
		for _, admin := range []bool{true, false} {
			s := fmt.Sprintf("/why %t", admin)
			c.Peer.Say(Said{Chat: c.Chat, User: fmt.Sprintf("300%d", len(s)), Admin: admin, Text: s})
			in := r.next(s)
			for range 2 {
				if ok, err := in.Admin(c.ctx); ok != admin || err != nil {
					c.Errorf("admin %t (%v), want %t", ok, err, admin)
				}
			}
		}
		r.end()
	}},
	{"a button gives its command", func(c *client) {
		c.needs(Buttons)
		r := c.receive(nil)
		m := text("k7f3q2ma: permit issued")
		m.Actions = []bot.Action{{Label: "why", Command: "/why k7f3q2ma"}, {Label: "longest", Command: "/why " + strings.Repeat("x", 55)}}
		at := c.send(c.target(), m, "1")
		for _, a := range m.Actions {
			c.Peer.Press(c.Chat, at.Message, a.Label, "1002")
			in := r.next(a.Command)
			if in.Chat != c.Chat || in.Message != at.Message || in.User != "1002" || in.ID == "" {
				c.Errorf("arrived as %+v", in)
			}
			if err := c.Adapter.Reply(c.ctx, in, text("because")); err != nil {
				c.Error(err)
			}
		}
		c.Peer.Press(c.Chat, at.Message, "why", "1002")
		all := r.stop()
		r.only(all, "/why k7f3q2ma", "/why k7f3q2ma", m.Actions[1].Command)
		if len(all) == 3 && (all[0].ID == all[2].ID || all[0].ID == all[1].ID) {
			c.Errorf("presses share an ID: %+v", all)
		}
		if err := shows(c.Peer.Sent()[0], m, false); err != nil {
			c.Errorf("pressing changed the message: %v", err)
		}
		c.shown(3)
	}},
	{"replies are shown where they were asked for", func(c *client) {
		r := c.receive(nil)
		c.Peer.Say(Said{Chat: c.Chat, User: person, Text: "/status"})
		in := r.next("/status")
		first := bot.Message{Title: "3 <of> 8", Lines: []bot.Line{bot.Labelled("Texas", "permit & lease")}, Footer: "not advice"}
		second := text("and so on")
		for i, m := range []bot.Message{first, second} {
			if err := c.Adapter.Reply(c.ctx, in, m); err != nil {
				c.Fatal(err)
			}
			s := c.shown(i + 1)[i]
			if s.Chat != c.Chat || s.Thread != "" {
				c.Errorf("shown as %+v", s)
			}
			if err := shows(s, m, false); err != nil {
				c.Error(err)
			}
		}
		if c.Adapter.Limits().Image > 0 {
			m := bot.Message{Title: "chart", Image: picture(1), Alt: "a line"}
			if err := c.Adapter.Reply(c.ctx, in, m); err != nil {
				c.Fatal(err)
			}
			if s := c.shown(3)[2]; len(s.Image) == 0 {
				c.Errorf("shown as %+v", s)
			}
		}
		err := c.Adapter.Reply(c.ctx, in, text(strings.Repeat("x", c.Adapter.Limits().Text+1)))
		c.refused(err, bot.Rejected)
		r.end()
	}},
	{"a reply that fails has its class", func(c *client) {
		c.needs(Failing)
		r := c.receive(nil)
		c.Peer.Say(Said{Chat: c.Chat, User: person, Text: "/status"})
		in := r.next("/status")
		for _, class := range []bot.Class{bot.RateLimited, bot.Rejected, bot.Unknown} {
			if !slices.Contains(c.CanFail, class) {
				continue
			}
			c.Peer.Fail(1, Failure{Class: class, Wait: 3 * time.Second})
			c.refused(c.Adapter.Reply(c.ctx, in, text("no")), class)
		}
		r.end()
	}},
	{"what is said in a thread is answered there", func(c *client) {
		c.needs(Threads)
		r := c.receive(nil)
		c.Peer.Say(Said{Chat: c.Chat, Thread: c.Thread, User: person, Text: "/status"})
		in := r.next("/status")
		if err := c.Adapter.Reply(c.ctx, in, text("so")); err != nil {
			c.Fatal(err)
		}
		if s := c.shown(1)[0]; s.Thread != c.Thread {
			c.Errorf("arrived as %+v, shown as %+v", in, s)
		}
		// A later message to where it was said goes there, too.
		c.send(bot.Target{Chat: in.Chat, Thread: in.Thread}, text("later"), "k")
		if s := c.shown(2)[1]; s.Thread != c.Thread {
			c.Errorf("arrived as %+v, shown later as %+v", in, s)
		}
		r.end()
	}},
	{"at most 64 commands are handled at a time, and all of them", func(c *client) {
		const n = 100
		var mu sync.Mutex
		now, most := 0, 0
		release := make(chan struct{})
		r := c.receive(func(context.Context, bot.Inbound) {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			<-release
			mu.Lock()
			now--
			mu.Unlock()
		})
		var said sync.WaitGroup
		said.Go(func() {
			for i := range n {
				c.Peer.Say(Said{Chat: c.Chat, User: person, Text: fmt.Sprintf("/why n%d", i)})
			}
		})
		// Until no more come in.
		busy := func() int {
			mu.Lock()
			defer mu.Unlock()
			return now
		}
		deadline := time.Now().Add(patience)
		for last, since := -1, time.Now(); time.Now().Before(deadline); {
			if b := busy(); b != last {
				last, since = b, time.Now()
			}
			if last > 1 && time.Since(since) > 300*time.Millisecond {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
		if b := busy(); b < 2 || b > 64 {
			c.Errorf("%d commands are handled at a time", b)
		}
		close(release)
		for i := range n {
			r.next(fmt.Sprintf("/why n%d", i))
		}
		said.Wait()
		r.end()
		if most > 64 {
			c.Errorf("%d commands were handled at a time", most)
		}
	}},
	{"it reconnects by itself", func(c *client) {
		c.needs(Reconnects)
		r := c.receive(nil)
		for i := range 3 {
			s := fmt.Sprintf("/why n%d", i)
			c.Peer.Say(Said{Chat: c.Chat, User: person, Text: s})
			r.next(s)
			c.Peer.Hangup()
			r.ready()
		}
		r.only(r.stop(), "/why n0", "/why n1", "/why n2")
	}},
	{"Run can be run again", func(c *client) {
		first := c.receive(nil)
		c.Peer.Say(Said{Chat: c.Chat, User: person, Text: "/why first"})
		first.next("/why first")
		first.end()
		c.needs(Reconnects)
		second := c.receive(nil)
		c.Peer.Say(Said{Chat: c.Chat, User: person, Text: "/why second"})
		second.next("/why second")
		second.only(second.stop(), "/why second")
	}},
	{"Run ends by itself if the platform will not have the bot", func(c *client) {
		c.needs(Revoking)
		r := c.receive(nil)
		c.Peer.Say(Said{Chat: c.Chat, User: person, Text: "/status"})
		r.next("/status")
		c.Peer.Revoke()
		c.stopped(r.done)
		again := make(chan error, 1)
		go func() { again <- c.Adapter.Run(c.ctx, Menu, func(context.Context, bot.Inbound) {}) }()
		c.stopped(again)
	}},
	{"the menu is offered in both languages", func(c *client) {
		c.needs(Menus)
		r := c.receive(nil)
		for _, l := range []chokepoint.Language{chokepoint.English, chokepoint.Chinese} {
			got := c.Peer.Menu(l)
			for _, m := range Menu {
				if got[m.Name] != m.Help[l] {
					c.Errorf("%s: %s is offered as %q, want %q", l, m.Name, got[m.Name], m.Help[l])
				}
			}
			if len(got) != len(Menu) {
				c.Errorf("%s: the menu is %q", l, got)
			}
		}
		r.end()
	}},
}

// stopped waits for Run to say that it was stopped.
func (c *client) stopped(done <-chan error) {
	c.Helper()
	select {
	case err := <-done:
		if !errors.Is(err, bot.ErrStopped) {
			c.Errorf("Run returned %v, want bot.ErrStopped", err)
		}
		c.secret(err)
	case <-time.After(patience):
		c.Fatal("Run did not end")
	}
}
