package discord

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chokepoint-bot/chokepoint/bot"
	"github.com/chokepoint-bot/chokepoint/bot/discord/discordtest"
	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

const patience = 30 * time.Second

var person = discordtest.Person{ID: "1001"}

var menu = []bot.CommandSpec{
	{Name: "alert", Admin: true, Help: map[chokepoint.Language]string{chokepoint.English: "alert me", chokepoint.Chinese: "提醒"}, Params: []bot.Param{
		{Name: "symbol", Required: true, Help: map[chokepoint.Language]string{chokepoint.English: "ticker", chokepoint.Chinese: "代码"}},
		{Name: "side", Choices: []string{"below", "above"}},
		{Name: "level", Required: true},
	}},
	{Name: "why", Params: []bot.Param{{Name: "alert"}}},
}

// running is an adapter's Run under way.
type running struct {
	t      *testing.T
	s      *discordtest.Server
	a      *Adapter
	cancel context.CancelFunc
	done   chan struct{}
	err    error // after done

	mu   sync.Mutex
	got  []bot.Inbound
	naps []time.Duration
}

// start runs a until the test ends; handle may be nil.
func start(t *testing.T, s *discordtest.Server, a *Adapter, handle func(context.Context, bot.Inbound)) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{t: t, s: s, a: a, cancel: cancel, done: make(chan struct{})}
	a.sleep = func(ctx context.Context, d time.Duration) error {
		r.mu.Lock()
		r.naps = append(r.naps, d)
		r.mu.Unlock()
		return ctx.Err()
	}
	go func() {
		defer close(r.done)
		r.err = a.Run(ctx, menu, func(ctx context.Context, in bot.Inbound) {
			r.mu.Lock()
			r.got = append(r.got, in)
			r.mu.Unlock()
			if handle != nil {
				handle(ctx, in)
			}
		})
	}()
	t.Cleanup(func() {
		cancel()
		<-r.done
	})
	return r
}

func (r *running) until(what string, ok func() bool) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	if until(ctx, ok) != nil {
		r.t.Fatalf("never: %s (gateway: %+v)", what, r.s.Sessions())
	}
}

func (r *running) live() {
	r.t.Helper()
	r.until("a session", func() bool { return r.s.Sessions().Live == 1 })
}

// texts is what has come so far.
func (r *running) texts() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []string
	for _, in := range r.got {
		all = append(all, in.Text)
	}
	return all
}

func (r *running) waitFor(text string) bot.Inbound {
	r.t.Helper()
	r.until("the inbound "+text, func() bool { return slices.Contains(r.texts(), text) })
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got[slices.IndexFunc(r.got, func(in bot.Inbound) bool { return in.Text == text })]
}

// slept is every wait asked for so far, but for those of nothing.
func (r *running) slept() []time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(r.naps), func(d time.Duration) bool { return d <= 0 })
}

func (r *running) stopped() error {
	r.t.Helper()
	select {
	case <-r.done:
	case <-time.After(patience):
		r.t.Fatal("Run did not end")
	}
	return r.err
}

func TestAGatewayThatMisbehavesBeforeReadyIsLeftAndTriedAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		greeting   discordtest.Greeting
		opened     int // WebSockets, the one that works included
		identifies int
	}{
		"it accepts and never says Hello":       {discordtest.Silent, 2, 1},
		"it asks to reconnect instead of Hello": {discordtest.ReconnectAtOnce, 2, 1},
		"it asks to reconnect instead of READY": {discordtest.ReconnectEarly, 2, 2},
		"it answers no WebSocket":               {discordtest.Unavailable, 2, 1},
		"it acknowledges before READY":          {discordtest.AckEarly, 1, 1},
		"it asks for a heartbeat before READY":  {discordtest.HeartbeatEarly, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			s.Greet(c.greeting)
			a := newAdapter(t, s)
			a.ready = time.Second
			r := start(t, s, a, nil)
			r.live()
			s.UseCommand(channel, person, "why", discordtest.Option{Name: "alert", Value: "k7f3q2ma"})
			r.waitFor("/why k7f3q2ma")
			if n := s.Sessions(); n.Opened != c.opened || n.Identifies != c.identifies {
				t.Errorf("gateway: %+v, want %d opened and %d identifies", n, c.opened, c.identifies)
			}
		})
	}
}

func TestAGatewayThatKeepsDroppingIsResumedWithLongerAndLongerWaitsWhileSendingGoesOn(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	r := start(t, s, newAdapter(t, s), nil)
	const drops = 4
	for i := range drops {
		r.live()
		s.Drop()
		// Said while nobody listens, and replayed.
		s.UseCommand(channel, person, "why", discordtest.Option{Name: "alert", Value: fmt.Sprint("n", i)})
		if _, err := r.a.Send(t.Context(), bot.Target{Chat: chat(channel)}, bot.Message{Title: "alert"}, fmt.Sprint("key", i)); err != nil {
			t.Error(err)
		}
		r.waitFor(fmt.Sprintf("/why n%d", i))
	}
	// A connection that is dropped while it resumes is resumed once more.
	n := s.Sessions()
	if n.Identifies != 1 || n.Resumes < drops {
		t.Errorf("gateway: %+v, want one identify and %d resumes", n, drops)
	}
	naps := r.slept()
	if len(naps) < drops || len(naps) > n.Opened {
		t.Fatalf("waits %v, want one for each of %d drops", naps, drops)
	}
	for i, d := range naps {
		if most := time.Second << i; d < most/2 || d > most {
			t.Errorf("wait %d is %s, want between %s and %s", i, d, most/2, most)
		}
	}
}

func TestABackOffIsBounded(t *testing.T) {
	t.Parallel()
	var passed time.Duration
	tries := 0
	for passed < 5*time.Minute { // of a gateway that drops two seconds after READY
		d := backoff(tries, true)
		if d <= 0 || d > time.Minute {
			t.Fatalf("wait %d is %s", tries, d)
		}
		passed += d + 2*time.Second
		tries++
	}
	if tries > 20 {
		t.Errorf("%d tries in five minutes", tries)
	}
	for n := range 10000 {
		if d := backoff(n, false); d <= 0 || d > 5*time.Minute {
			t.Fatalf("wait %d is %s", n, d)
		}
	}
}

func TestIdentifiesKeepFarFromTheNumberThatResetsTheToken(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	var i identifies
	var at []time.Time
	for end := now.Add(72 * time.Hour); now.Before(end); {
		if d := i.next(now); d > 0 {
			now = now.Add(d)
			continue
		}
		i.add(now)
		at = append(at, now)
		if len(at) > 1 && now.Sub(at[len(at)-2]) < 5*time.Second {
			t.Fatalf("identified twice within 5 s at %s", now)
		}
	}
	for j := range at {
		if k := j + identifiesMost; k < len(at) && at[k].Sub(at[j]) < 24*time.Hour {
			t.Fatalf("more than %d identifies within a day of %s", identifiesMost, at[j])
		}
	}
}

func TestCodesAfterWhichNotToReconnectStopTheAdapter(t *testing.T) {
	t.Parallel()
	for _, code := range []int{4004, 4010, 4011, 4012, 4013, 4014} {
		t.Run(fmt.Sprint(code, " in answer to Identify"), func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			s.Refuse(code)
			r := start(t, s, newAdapter(t, s), nil)
			if err := r.stopped(); !errors.Is(err, bot.ErrStopped) || !strings.Contains(err.Error(), fmt.Sprint(code)) {
				t.Errorf("Run returned %v", err)
			}
			if n := s.Sessions(); n.Opened != 1 {
				t.Errorf("gateway: %+v, want one connection", n)
			}
		})
	}
	t.Run("4014 while running", func(t *testing.T) {
		t.Parallel()
		s := newServer(t)
		r := start(t, s, newAdapter(t, s), nil)
		r.live()
		s.CloseWith(4014)
		if err := r.stopped(); !errors.Is(err, bot.ErrStopped) {
			t.Errorf("Run returned %v", err)
		}
		if n := s.Sessions(); n.Opened != 1 {
			t.Errorf("gateway: %+v, want one connection", n)
		}
	})
}

func TestWhatEndsAConnectionDecidesHowToComeBack(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault      func(s *discordtest.Server)
		identifies int
		resumes    int
	}{
		"op 7 is resumed":                    {(*discordtest.Server).Reconnect, 1, 1},
		"op 9 that may be resumed is":        {func(s *discordtest.Server) { s.Invalidate(true) }, 1, 1},
		"op 9 that may not identifies":       {func(s *discordtest.Server) { s.Invalidate(false) }, 2, 0},
		"4000 is resumed":                    {func(s *discordtest.Server) { s.CloseWith(4000) }, 1, 1},
		"4009 identifies":                    {func(s *discordtest.Server) { s.CloseWith(4009) }, 2, 0},
		"a session forgotten is identified":  {func(s *discordtest.Server) { s.Drop(); s.Forget() }, 2, 1},
		"a frame that is no JSON is skipped": {func(s *discordtest.Server) { s.SendRaw("{"); s.Reconnect() }, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			r := start(t, s, newAdapter(t, s), nil)
			r.live()
			s.UseCommand(channel, person, "why", discordtest.Option{Name: "alert", Value: "before"})
			r.waitFor("/why before")
			c.fault(s)
			r.until("another session", func() bool {
				n := s.Sessions()
				return n.Live == 1 && n.Identifies == c.identifies && n.Resumes == c.resumes
			})
			s.UseCommand(channel, person, "why", discordtest.Option{Name: "alert", Value: "after"})
			s.Repeat()
			r.waitFor("/why after")
			s.UseCommand(channel, person, "why", discordtest.Option{Name: "alert", Value: "last"})
			r.waitFor("/why last")
			r.cancel()
			if err := r.stopped(); err != nil {
				t.Error(err)
			}
			got := r.texts()
			slices.Sort(got)
			if want := []string{"/why after", "/why before", "/why last"}; !slices.Equal(got, want) {
				t.Errorf("there came %q, want %q", got, want)
			}
		})
	}
}

func TestAConnectionWithoutAcknowledgementsIsReplacedAndNothingSaidMeanwhileIsLost(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.HeartbeatEvery(200 * time.Millisecond)
	a := newAdapter(t, s)
	var log safeBuffer
	a.log = slog.New(slog.NewTextHandler(&log, nil))
	r := start(t, s, a, nil)
	r.live()
	s.Zombie(true)
	s.UseCommand(channel, person, "why", discordtest.Option{Name: "alert", Value: "unheard"})
	r.until("the connection to be given up", func() bool { return len(r.slept()) > 0 })
	// After two intervals, by us; the library would after five.
	if !strings.Contains(log.String(), "no heartbeat was acknowledged") {
		t.Errorf("log: %s", log.String())
	}
	s.Zombie(false)
	r.waitFor("/why unheard")
	if n := s.Sessions(); n.Identifies != 1 || n.Resumes < 1 {
		t.Errorf("gateway: %+v, want one identify, then resumes", n)
	}
}

func TestACommandIsAcknowledgedAtOnceEvenIfAllHandlersAreBusy(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	release := make(chan struct{})
	r := start(t, s, newAdapter(t, s), func(context.Context, bot.Inbound) { <-release })
	defer close(release)
	r.live()
	const n = atOnce + 10
	for i := range n {
		s.UseCommand(channel, person, "why", discordtest.Option{Name: "alert", Value: fmt.Sprint(i)})
	}
	r.until("an acknowledgement of each", func() bool {
		waiting := 0
		for _, m := range s.Shown(channel) {
			if m.Waiting {
				waiting++
			}
		}
		return waiting == n
	})
	s.Advance(4 * time.Second) // past the three seconds: breaches are looked for at the end
}

func TestNothingIsLeftThinking(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	r := start(t, s, newAdapter(t, s), func(_ context.Context, in bot.Inbound) {
		if in.Text == "/why panic" {
			panic("handler")
		}
	})
	r.live()
	for _, id := range []string{"panic", "silence"} {
		s.UseCommand(channel, person, "why", discordtest.Option{Name: "alert", Value: id})
		r.waitFor("/why " + id)
	}
	r.until("an empty channel", func() bool { return len(s.Shown(channel)) == 0 })
}

func TestAnAnswerComesInTheChannelIfTheInteractionIsOver(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before discordtest.Fault
		after  time.Duration // from the command to the answer
	}{
		"fifteen minutes have passed":           {after: 16 * time.Minute, before: discordtest.Fault{Match: func(discordtest.Request) bool { return false }}},
		"Discord says that it came too late":    {before: discordtest.Fault{Match: isCallback, Status: 404, Body: discordtest.Refusal(10062, "Unknown interaction")}},
		"the acknowledgement was never heard":   {before: discordtest.Fault{Match: isCallback}},
		"Discord failed over the acknowledging": {before: discordtest.Fault{Match: isCallback, Status: 500}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			s.Inject(c.before)
			answered := make(chan error, 1)
			may := make(chan struct{})
			a := newAdapter(t, s)
			r := start(t, s, a, func(ctx context.Context, in bot.Inbound) {
				<-may
				answered <- a.Reply(ctx, in, bot.Message{Title: "because"})
			})
			r.live()
			s.UseCommand(channel, person, "why")
			r.waitFor("/why")
			s.Advance(c.after)
			close(may)
			if err := <-answered; err != nil {
				t.Fatal(err)
			}
			shown := s.Shown(channel)
			if last := shown[len(shown)-1]; last.Title != "because" || last.Nonce == "" {
				t.Errorf("shown: %+v", shown)
			}
			if n := s.Invalid(); n > 0 {
				t.Errorf("%d requests with a token that is over", n)
			}
		})
	}
}

func isCallback(q discordtest.Request) bool { return strings.HasSuffix(q.Path, "/callback") }

func TestAMentionsAdminIsAskedForAndBelievedForAMinute(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.AddGuild(discordtest.Guild{ID: "1000", Owner: "9000", Roles: map[string]int64{"501": discordtest.ManageGuild, "502": discordtest.SendMessages},
		Members: map[string][]string{"1001": {"501"}, "1002": {"502"}, "9000": nil}})
	r := start(t, s, newAdapter(t, s), nil)
	r.live()
	asked := func() (n int) {
		for _, q := range s.Requests() {
			if strings.HasPrefix(q.Path, "/guilds/") {
				n++
			}
		}
		return n
	}
	for user, want := range map[string]bool{"1001": true, "1002": false, "9000": true} {
		s.Say(channel, discordtest.Person{ID: user}, "<@"+discordtest.BotID+"> I am "+user)
		in := r.waitFor("I am " + user)
		before := asked()
		for range 3 {
			if may, err := in.Admin(t.Context()); may != want || err != nil {
				t.Errorf("%s: admin %t (%v), want %t", user, may, err, want)
			}
		}
		if n := asked() - before; n != 2 {
			t.Errorf("%s: %d requests for the same thing, want 2", user, n)
		}
		s.Advance(61 * time.Second)
		if _, err := in.Admin(t.Context()); err != nil {
			t.Error(err)
		}
		if n := asked() - before; n != 4 {
			t.Errorf("%s: %d requests after a minute, want 4", user, n)
		}
	}
	s.Say(channel, discordtest.Person{ID: "7777"}, "<@"+discordtest.BotID+"> I have left")
	if may, err := r.waitFor("I have left").Admin(t.Context()); may || err == nil {
		t.Errorf("admin %t, %v, want an error", may, err)
	}
}

func TestWhereAMentionWasMade(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	r := start(t, s, newAdapter(t, s), nil)
	r.live()
	p, err := r.a.Send(t.Context(), bot.Target{Chat: chat(channel)}, bot.Message{Title: "alert"}, "k")
	if err != nil {
		t.Fatal(err)
	}
	said := s.Answer(channel, p.Message, person, "what about it?")
	if in := r.waitFor("what about it?"); in.Chat != chat(channel) || in.Thread != "" || in.Title != "alerts" || in.Message != p.Message || in.ID != said || !in.Group {
		t.Errorf("an answer to an alert arrived as %+v", in)
	}
	s.Say(thread, person, "<@!"+discordtest.BotID+">  AAOI?")
	in := r.waitFor("AAOI?")
	if in.Chat != chat(channel) || in.Thread != thread || in.Title != "alerts" {
		t.Errorf("what was said in a thread arrived as %+v", in)
	}
	if err := r.a.Reply(t.Context(), in, bot.Message{Title: "135.76"}); err != nil {
		t.Fatal(err)
	}
	if shown := s.Shown(thread); len(shown) != 2 || shown[1].Title != "135.76" || shown[1].Answers != in.ID {
		t.Errorf("shown: %+v", shown)
	}
}

func TestTheMenuIsOverwrittenOnlyIfItDiffers(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	a := newAdapter(t, s)
	for range 2 {
		if failed := a.publish(t.Context(), menu); failed != nil {
			t.Fatal(failed)
		}
	}
	published, n := s.Commands()
	if n != 1 {
		t.Errorf("overwritten %d times, want once", n)
	}
	// "level" is required, but stands behind one that is not.
	var required []string
	for _, o := range published[0].Options {
		if o.Required {
			required = append(required, o.Name)
		}
	}
	if published[0].Name != "alert" || !slices.Equal(required, []string{"symbol"}) || !slices.Equal(published[0].Options[1].Choices, []string{"below", "above"}) {
		t.Errorf("published %+v", published)
	}
	for _, locale := range []string{"zh-CN", "zh-TW"} {
		if published[0].Descriptions[locale] != "提醒" || published[0].Options[0].Descriptions[locale] != "代码" {
			t.Errorf("%s is offered %+v", locale, published[0])
		}
	}
	changed := slices.Clone(menu)
	changed[1].Help = map[chokepoint.Language]string{chokepoint.English: strings.Repeat("long ", 40)}
	if failed := a.publish(t.Context(), changed); failed != nil {
		t.Fatal(failed)
	}
	if _, n := s.Commands(); n != 2 {
		t.Errorf("overwritten %d times, want twice", n)
	}
}

func TestAMenuThatCannotBePublishedNowIsPublishedLater(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.Inject(discordtest.Fault{Match: func(q discordtest.Request) bool { return q.Method == "PUT" }, Status: 503, Times: 2})
	r := start(t, s, newAdapter(t, s), nil)
	r.live()
	r.until("a menu", func() bool { m, _ := s.Commands(); return len(m) == len(menu) })
}

func TestATokenThatIsRevokedStopsTheAdapter(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.Revoke(true)
	r := start(t, s, newAdapter(t, s), nil)
	err := r.stopped()
	if !errors.Is(err, bot.ErrStopped) || strings.Contains(err.Error(), s.Token()) {
		t.Errorf("Run returned %v", err)
	}
}

func TestTheGatewayGoesTheWayThatRESTGoes(t *testing.T) {
	t.Parallel()
	t.Run("TLS with the same roots", func(t *testing.T) {
		t.Parallel()
		s := newServer(t)
		to, err := url.Parse(strings.TrimSuffix(s.URL(), "/api/v10"))
		if err != nil {
			t.Fatal(err)
		}
		front := httptest.NewTLSServer(httputil.NewSingleHostReverseProxy(to))
		t.Cleanup(front.Close)
		t.Cleanup(front.CloseClientConnections)
		s.GatewayAt("wss" + strings.TrimPrefix(front.URL, "https"))
		a, err := New(Config{Token: s.Token(), APIURL: front.URL + "/api/v10", Now: s.Now, Transport: front.Client().Transport})
		if err != nil {
			t.Fatal(err)
		}
		r := start(t, s, a, nil)
		r.live()
		s.UseCommand(channel, person, "why")
		r.waitFor("/why")
	})
	t.Run("an HTTP proxy", func(t *testing.T) {
		t.Parallel()
		s := newServer(t)
		var tunnels atomic.Int32
		plain := &httputil.ReverseProxy{Rewrite: func(*httputil.ProxyRequest) {}, Transport: &http.Transport{DisableKeepAlives: true}}
		var piping sync.WaitGroup
		proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if q.Header.Get("Proxy-Authorization") != "Basic dTpw" {
				w.WriteHeader(http.StatusProxyAuthRequired)
				return
			}
			if q.Method != http.MethodConnect {
				plain.ServeHTTP(w, q)
				return
			}
			tunnels.Add(1)
			there, err := net.Dial("tcp", q.Host)
			if err != nil {
				t.Error(err)
				return
			}
			here, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			io.WriteString(here, "HTTP/1.1 200 Connection established\r\n\r\n")
			pipe := func(to, from net.Conn) {
				io.Copy(to, from)
				to.Close()
			}
			piping.Go(func() { pipe(here, there) })
			piping.Go(func() { pipe(there, here) })
		}))
		t.Cleanup(piping.Wait)
		t.Cleanup(proxy.Close)
		by, err := url.Parse(proxy.URL)
		if err != nil {
			t.Fatal(err)
		}
		by.User = url.UserPassword("u", "p")
		wire := &http.Transport{Proxy: http.ProxyURL(by)}
		t.Cleanup(wire.CloseIdleConnections)
		a, err := New(Config{Token: s.Token(), APIURL: s.URL(), Now: s.Now, Transport: wire})
		if err != nil {
			t.Fatal(err)
		}
		r := start(t, s, a, nil)
		r.live()
		s.UseCommand(channel, person, "why")
		r.waitFor("/why")
		if tunnels.Load() != 1 {
			t.Errorf("%d tunnels", tunnels.Load())
		}
	})
}
