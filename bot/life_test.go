package bot_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/chokepoint-bot/chokepoint/bot"
	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/store/sqlitestore"
)

// The tests of this file run in bubbles of virtual time: hours take moments.

// troubled is a store whose calls can be made to fail or to hang.
type troubled struct {
	*sqlitestore.Store
	trouble func(ctx context.Context, call string) error
}

func (s *troubled) Settle(ctx context.Context, now time.Time, batch []chokepoint.Settlement) ([]chokepoint.DeliveryID, error) {
	if err := s.trouble(ctx, "settle"); err != nil {
		return nil, err
	}
	return s.Store.Settle(ctx, now, batch)
}

func (s *troubled) Grants(ctx context.Context, now time.Time, p chokepoint.Platform, holder string, ttl time.Duration, n int) ([]chokepoint.Grant, error) {
	if err := s.trouble(ctx, "grants"); err != nil {
		return nil, err
	}
	return s.Store.Grants(ctx, now, p, holder, ttl, n)
}

func (s *troubled) Due(ctx context.Context, p chokepoint.Platform) (time.Time, error) {
	if err := s.trouble(ctx, "due"); err != nil {
		return time.Time{}, err
	}
	return s.Store.Due(ctx, p)
}

func (s *troubled) Renew(ctx context.Context, now time.Time, l chokepoint.Lease, ttl time.Duration) (chokepoint.Lease, error) {
	if err := s.trouble(ctx, "renew"); err != nil {
		return l, err
	}
	return s.Store.Renew(ctx, now, l, ttl)
}

// hang does not answer until ctx ends.
func hang(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func settings(t *testing.T, s *sqlitestore.Store, change func(*chokepoint.Chat)) {
	t.Helper()
	c, err := s.Chat(t.Context(), chat)
	if err != nil {
		t.Fatal(err)
	}
	change(&c)
	if err := s.PutChat(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

func (p *platform) now() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.texts()
}

func (p *platform) sent() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.keysSent)
}

func want(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

func TestQuietHoursHoldBackAllButWhatIsUrgentUntilTheyEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // it is midnight
		s, p := open(t), newPlatform()
		settings(t, s, func(c *chokepoint.Chat) { c.Quiet = chokepoint.QuietHours{From: 22 * 60, To: 5*60 + 30} })
		start(t, s, nil, p)
		publish(t, s, alert("s1", 0, "first"), alert("s2", 0, "second"))
		time.Sleep(time.Hour)
		publish(t, s, alert("s3", 0, "urgent", func(a *chokepoint.Alert) { a.Severity = chokepoint.Urgent }),
			alert("s4", 0, "stale by then", func(a *chokepoint.Alert) { a.Expires = time.Now().Add(time.Hour) }),
			alert("s5", 0, "drill", func(a *chokepoint.Alert) { a.Drill, a.Severity = true, chokepoint.Info }))
		time.Sleep(4*time.Hour + 29*time.Minute)
		want(t, "shown in the quiet hours", p.now(), "urgent", "drill")
		time.Sleep(time.Minute + time.Second)
		want(t, "shown after them", p.now(), "urgent", "drill", "first", "second")
	})
}

func TestWhatWasSentWhileTheStoreIsAwayIsNotSentAgain(t *testing.T) {
	t.Parallel()
	for name, outage := range map[string]time.Duration{"half a minute": 30 * time.Second, "longer than grants hold": 5 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := newPlatform()
				began := time.Now()
				s := &troubled{open(t), func(_ context.Context, call string) error {
					end := outage
					if call != "grants" {
						end += 5 * time.Second // what comes back first must not matter
					}
					if since := time.Since(began); since > time.Second && since < end {
						return errors.New("the store is away")
					}
					return nil
				}}
				p.script = func(int, bot.Target, bot.Message) error { time.Sleep(2 * time.Second); return nil }
				start(t, s, nil, p)
				publish(t, s.Store, alert("s1", 0, "once"), alert("s2", 0, "after"))
				time.Sleep(2 * outage)
				want(t, "shown", p.now(), "once", "after")
			})
		})
	}
}

func TestADeliveryThatWasSentByAProcessThatDiedIsSentAgainUnderTheSameKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPlatform()
		p.limits.Dedups = true
		s := open(t)
		publish(t, s, alert("s1", 0, "once"))
		dying := &troubled{s, func(ctx context.Context, call string) error {
			if call == "settle" {
				return hang(ctx)
			}
			return nil
		}}
		granted := time.Now()
		stop := start(t, dying, nil, p)
		time.Sleep(time.Second)
		stop()
		start(t, s, nil, p)
		time.Sleep(time.Until(granted.Add(19 * time.Second)))
		if n := len(p.sent()); n != 1 {
			t.Errorf("%d attempts while the grant held", n)
		}
		// The grant runs out after 20 s, and is looked for every two.
		time.Sleep(time.Until(granted.Add(23 * time.Second)))
		if keys := p.sent(); len(keys) != 2 || keys[0] != keys[1] {
			t.Errorf("keys %q, want one twice", keys)
		}
		want(t, "shown", p.now(), "once")
	})
}

func TestStoppingTakesLessThanTenSecondsWhateverHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPlatform()
		s := &troubled{open(t), func(ctx context.Context, call string) error {
			if call == "settle" || call == "renew" {
				return hang(ctx)
			}
			return nil
		}}
		p.hang = true
		p.run = func(ctx context.Context, got func(context.Context, bot.Inbound)) error {
			time.Sleep(900 * time.Millisecond)
			got(ctx, bot.Inbound{ID: "1", Chat: chat, User: "u", Text: "/status"})
			return nil
		}
		h := handler(func(bot.Inbound) bot.Answer { return bot.Answer{Message: bot.Message{Title: "answer"}} })
		stop := start(t, s, h, p)
		publish(t, s.Store, alert("s1", 0, "a"), alert("s2", 0, "b"))
		time.Sleep(time.Second)
		asked := time.Now()
		stop()
		if took := time.Since(asked); took > 9500*time.Millisecond || took < 8*time.Second {
			t.Errorf("stopping took %s: sends have 8 s, and all together less than 10 s", took)
		}
	})
}

func TestGrantsThatWaitTooLongAreGivenBackAndNotSentTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, p := open(t), newPlatform()
		p.script = func(int, bot.Target, bot.Message) error { time.Sleep(29 * time.Second); return nil }
		const chats = 12
		for i := range chats - 1 {
			if err := s.PutChat(t.Context(), chokepoint.Chat{ID: chokepoint.ChatID{Platform: p.name, ID: fmt.Sprint("c", i)}, Language: "en", Zone: "UTC", Topics: []chokepoint.Topic{"t"}}); err != nil {
				t.Fatal(err)
			}
		}
		publish(t, s, alert("s1", 0, "slow"))
		for range 2 {
			startWith(t, s, bot.Config{Adapters: []bot.Adapter{p}, Workers: 1, SendTimeout: 30 * time.Second, GrantTTL: time.Minute})
		}
		time.Sleep(time.Hour)
		keys := p.sent()
		slices.Sort(keys)
		if n := len(slices.Compact(slices.Clone(keys))); n != chats || len(keys) != chats {
			t.Errorf("%d attempts at %d deliveries, want %d of each", len(keys), n, chats)
		}
	})
}

func TestShortGrantsLeaveTimeToSend(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, p := open(t), newPlatform()
		publish(t, s, alert("s1", 0, "a"))
		startWith(t, s, bot.Config{Adapters: []bot.Adapter{p}, GrantTTL: 10 * time.Second})
		time.Sleep(time.Minute)
		want(t, "shown", p.now(), "a")
	})
}

func TestOneProcessReceivesAtATimeAndAnotherTakesOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := open(t)
		var cut atomic.Bool // from the store
		first := &troubled{s, func(ctx context.Context, call string) error {
			if cut.Load() && call == "renew" {
				return hang(ctx)
			}
			return nil
		}}
		var mu sync.Mutex
		receiving, most := map[string]bool{}, 0
		replica := func(name string) *platform {
			p := newPlatform()
			p.run = func(ctx context.Context, _ func(context.Context, bot.Inbound)) error {
				mu.Lock()
				receiving[name] = true
				most = max(most, len(receiving))
				mu.Unlock()
				<-ctx.Done()
				time.Sleep(2 * time.Second) // handlers finish
				mu.Lock()
				delete(receiving, name)
				mu.Unlock()
				return nil
			}
			return p
		}
		who := func() string {
			mu.Lock()
			defer mu.Unlock()
			var names []string
			for name := range receiving {
				names = append(names, name)
			}
			return strings.Join(names, " ")
		}
		start(t, first, nil, replica("first"))
		synctest.Wait()
		start(t, s, nil, replica("second"))
		time.Sleep(10 * time.Minute)
		if got := who(); got != "first" {
			t.Errorf("%q receives, want the first", got)
		}
		cut.Store(true)
		time.Sleep(time.Minute)
		if got := who(); got != "second" {
			t.Errorf("%q receives, want the second", got)
		}
		if most != 1 {
			t.Errorf("%d processes received at once", most)
		}
	})
}

func TestAnAdapterThatPanicsCostsItsMessageAndNothingElse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, p := open(t), newPlatform()
		p.script = func(_ int, _ bot.Target, m bot.Message) error {
			if m.Title != "after" {
				panic("nil map")
			}
			return nil
		}
		p.run = func(context.Context, func(context.Context, bot.Inbound)) error { panic("nil pointer") }
		registry := prometheus.NewRegistry()
		startWith(t, s, bot.Config{Adapters: []bot.Adapter{p}, Registry: registry})
		publish(t, s, alert("s1", 0, "poison"), alert("s2", 0, "after"))
		time.Sleep(time.Minute)
		want(t, "shown", p.now(), "after")
		dead, err := s.DeadLetters(t.Context(), 10)
		if err != nil || len(dead) != 1 || dead[0].Attempts != 3 {
			t.Errorf("dead letters %+v, %v: want the one, after three attempts", dead, err)
		}
		if got := metric(t, registry, "chokepoint_panics_total", "send"); got != 3 {
			t.Errorf("%v panics counted", got)
		}
		if got := metric(t, registry, "chokepoint_deliveries_total", "dead", "telegram"); got != 1 {
			t.Errorf("%v dead counted", got)
		}
	})
}

// metric is the value of a counter by its labels' values.
func metric(t *testing.T, r *prometheus.Registry, name string, labels ...string) float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var have []string
			for _, l := range m.GetLabel() {
				have = append(have, l.GetValue())
			}
			if f.GetName() == name && slices.Equal(have, labels) {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

func TestACardIsChangedAtMostOnceInHalfAMinuteAndShowsTheLatestInTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, p := open(t), newPlatform()
		start(t, s, nil, p)
		for i := range 60 { // over a minute
			publish(t, s, alert("story", i, fmt.Sprint("telling ", i)))
			time.Sleep(time.Second)
		}
		time.Sleep(time.Minute)
		want(t, "the card", p.now(), "telling 59")
		if n := len(p.sent()); n > 5 {
			t.Errorf("%d messages and changes in two minutes", n)
		}
	})
}

func TestAPlatformWithoutEditsGetsTheNewsOfAnEscalationAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, p := open(t), newPlatform()
		p.limits.Edits = false
		start(t, s, nil, p)
		escalate := func(a *chokepoint.Alert) { a.Escalate = true }
		for i, a := range []chokepoint.Alert{alert("s", 0, "first\ndetails"), alert("s", 1, "seven sources"), alert("s", 2, "filed\ndetails", escalate), alert("other", 4, "late to this chat\ndetails")} {
			publish(t, s, a)
			time.Sleep(time.Duration(i+1) * time.Minute)
		}
		want(t, "shown", p.now(), "first\ndetails", "filed", "late to this chat\ndetails")
	})
}

func TestOperatorsAreToldWhenAPlatformRefusesUsAndWhenItHasUsAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, bad, good := open(t), newPlatform(), newPlatform()
		good.name = chokepoint.Discord
		ops := chokepoint.ChatID{Platform: chokepoint.Discord, ID: "ops"}
		if err := s.PutChat(t.Context(), chokepoint.Chat{ID: ops, Language: "en", Zone: "UTC", Topics: []chokepoint.Topic{chokepoint.TopicOps}}); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		bad.script = func(int, bot.Target, bot.Message) error {
			if time.Since(began) < 35*time.Minute {
				return &bot.SendError{Class: bot.Unauthorized, Err: errors.New("401")}
			}
			return nil
		}
		start(t, s, nil, bad, good)
		publish(t, s, alert("s1", 0, "a"), alert("s2", 0, "b"))
		time.Sleep(30 * time.Minute)
		want(t, "operators saw", good.now(), "telegram failing")
		if n := len(bad.sent()); n > 4 {
			t.Errorf("the platform was asked %d times in half an hour", n)
		}
		time.Sleep(time.Hour)
		want(t, "operators saw", good.now(), "telegram failing", "telegram recovered")
		want(t, "shown in the end", bad.now(), "a", "b")
	})
}

func TestAGlobalWaitHoldsEveryChat(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, p := open(t), newPlatform()
		if err := s.PutChat(t.Context(), chokepoint.Chat{ID: chokepoint.ChatID{Platform: p.name, ID: "2"}, Language: "en", Zone: "UTC", Topics: []chokepoint.Topic{"t"}}); err != nil {
			t.Fatal(err)
		}
		p.script = func(n int, _ bot.Target, _ bot.Message) error {
			if n == 0 {
				return &bot.SendError{Class: bot.RateLimited, Global: true, Wait: 20 * time.Second, Err: errors.New("429")}
			}
			return nil
		}
		startWith(t, s, bot.Config{Adapters: []bot.Adapter{p}, Workers: 1})
		publish(t, s, alert("s1", 0, "a"))
		time.Sleep(19 * time.Second)
		if n := len(p.sent()); n != 1 {
			t.Errorf("%d attempts while the platform said to wait", n)
		}
		time.Sleep(5 * time.Second)
		want(t, "shown", p.now(), "a", "a")
	})
}

func TestTheChatsPaceIsKeptAndItsOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, p := open(t), newPlatform()
		p.limits.Every, p.limits.Burst = 3*time.Second, 2
		var at []time.Duration
		began := time.Now()
		p.script = func(int, bot.Target, bot.Message) error { at = append(at, time.Since(began)); return nil }
		start(t, s, nil, p)
		var wanted []string
		for i := range 6 {
			wanted = append(wanted, fmt.Sprint(i))
			publish(t, s, alert(fmt.Sprint("s", i), 0, wanted[i]))
		}
		time.Sleep(time.Minute)
		want(t, "shown", p.now(), wanted...)
		for i := 2; i < len(at); i++ {
			if gap := at[i] - at[i-2]; gap < 3*time.Second {
				t.Errorf("three messages within %s", gap)
			}
		}
	})
}

func TestAHandlerThatIgnoresItsDeadlineGetsAnApologyInTheChatsLanguage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, p := open(t), newPlatform()
		settings(t, s, func(c *chokepoint.Chat) { c.Language = chokepoint.Chinese })
		p.run = func(ctx context.Context, got func(context.Context, bot.Inbound)) error {
			got(ctx, bot.Inbound{ID: "1", Chat: chat, User: "u", Text: "/status", Locale: "en-GB"})
			<-ctx.Done()
			return nil
		}
		startWith(t, s, bot.Config{Adapters: []bot.Adapter{p}, Chat: s.Chat, Handler: handler(func(bot.Inbound) bot.Answer {
			time.Sleep(time.Minute)
			return bot.Answer{Message: bot.Message{Title: "too late"}}
		})})
		time.Sleep(2 * time.Minute)
		if len(p.replies) != 1 || !strings.Contains(p.replies[0].PlainText(), "请稍后再试") {
			t.Errorf("replies %+v", p.replies)
		}
	})
}
