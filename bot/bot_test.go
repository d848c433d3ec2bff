package bot_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/chokepoint-bot/chokepoint/bot"
	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/internal/i18n"
	"github.com/chokepoint-bot/chokepoint/store"
	"github.com/chokepoint-bot/chokepoint/store/sqlitestore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// platform is an adapter that shows messages in a slice, drops repeated keys
// if told so, and fails as scripted.
type platform struct {
	name   chokepoint.Platform
	limits bot.Limits
	script func(n int, to bot.Target, m bot.Message) error // what the n-th send answers; after an Unknown the message is shown all the same
	run    func(ctx context.Context, got func(context.Context, bot.Inbound)) error
	hang   bool // sends and replies do not answer

	mu       sync.Mutex
	n        int
	shown    []shown
	keys     map[string]string
	keysSent []string
	replies  []bot.Message
	threads  int
	changed  chan struct{}
}

type shown struct {
	id   string
	to   bot.Target
	text string
	key  string
}

func newPlatform() *platform {
	return &platform{name: chokepoint.Telegram, keys: map[string]string{}, changed: make(chan struct{}, 1), limits: bot.Limits{Text: 1000, Edits: true, Measure: func(m bot.Message) int { return len(m.PlainText()) }}}
}

func (p *platform) Platform() chokepoint.Platform { return p.name }
func (p *platform) Limits() bot.Limits            { return p.limits }
func (p *platform) poke() {
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

func (p *platform) Send(ctx context.Context, to bot.Target, m bot.Message, key string) (bot.Posted, error) {
	p.mu.Lock()
	n := p.n
	p.n++
	p.keysSent = append(p.keysSent, key)
	p.mu.Unlock()
	if p.hang {
		<-ctx.Done()
		return bot.Posted{}, &bot.SendError{Class: bot.Unknown, Err: ctx.Err()}
	}
	var err error
	if p.script != nil {
		err = p.script(n, to, m)
	}
	var e *bot.SendError
	if err != nil && (!errors.As(err, &e) || e.Class != bot.Unknown) {
		return bot.Posted{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.poke()
	if id, again := p.keys[key]; again && p.limits.Dedups {
		return bot.Posted{Message: id}, err
	}
	id := "m" + strconv.Itoa(len(p.shown))
	p.keys[key] = id
	if to.Edit != "" {
		for i := range p.shown {
			if p.shown[i].id == to.Edit {
				p.shown[i].text = m.PlainText()
				return bot.Posted{Message: to.Edit}, err
			}
		}
		return bot.Posted{}, &bot.SendError{Class: bot.MessageGone, Err: errors.New("no such message")}
	}
	p.shown = append(p.shown, shown{id, to, m.PlainText(), key})
	return bot.Posted{Message: id}, err
}

func (p *platform) Reply(ctx context.Context, _ bot.Inbound, m bot.Message) error {
	if p.hang {
		return hang(ctx)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.replies = append(p.replies, m)
	p.poke()
	return nil
}

func (p *platform) Run(ctx context.Context, _ []bot.CommandSpec, got func(context.Context, bot.Inbound)) error {
	if p.run != nil {
		return p.run(ctx, got)
	}
	<-ctx.Done()
	return nil
}

func (p *platform) OpenThread(_ context.Context, at bot.Target, name string) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.threads++
	return "thread-of-" + at.Edit, nil
}

// until waits for a condition on what the platform shows.
func (p *platform) until(t *testing.T, what string, cond func(*platform) bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		p.mu.Lock()
		ok := cond(p)
		p.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-p.changed:
		case <-time.After(20 * time.Millisecond):
		case <-deadline:
			p.mu.Lock()
			defer p.mu.Unlock()
			t.Fatalf("never: %s; shown %+v; replies %+v", what, p.shown, p.replies)
		}
	}
}

func (p *platform) texts() (out []string) {
	for _, s := range p.shown {
		out = append(out, s.text)
	}
	return out
}

// words words an alert as its headline.
type words struct{}

func (words) Alert(a *chokepoint.Alert, _ chokepoint.Language, _ *time.Location, _ time.Time, again bool) bot.Message {
	if a.Headline == "break our code" {
		panic("on purpose")
	}
	title, rest, more := strings.Cut(a.Headline, "\n")
	if a.Kind == chokepoint.AlertOps {
		title = a.Facts["name"] + " " + a.Facts["state"]
	}
	if again {
		title += " (again)"
	}
	m := bot.Message{Title: title}
	if more {
		m.Lines = append(m.Lines, bot.Text(rest))
	}
	return m
}

type handler func(bot.Inbound) bot.Answer

func (handler) Menu() []bot.CommandSpec                               { return nil }
func (h handler) Handle(_ context.Context, in bot.Inbound) bot.Answer { return h(in) }

var chat = chokepoint.ChatID{Platform: chokepoint.Telegram, ID: "1"}

func open(t testing.TB) *sqlitestore.Store {
	t.Helper()
	s, err := sqlitestore.Open(t.Context(), filepath.Join(t.TempDir(), "s.db"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if err := s.PutChat(t.Context(), chokepoint.Chat{ID: chat, Language: "en", Zone: "UTC", Topics: []chokepoint.Topic{"t"}}); err != nil {
		t.Fatal(err)
	}
	return s
}

// memory is what a bot needs of a store.
type memory interface {
	bot.Outbox
	bot.Leaser
	store.Waker
}

var holders atomic.Int64

// start runs a bot over s until the test ends, or the returned func is called.
func start(t testing.TB, s memory, h bot.Handler, adapters ...bot.Adapter) (stop func()) {
	t.Helper()
	return startWith(t, s, bot.Config{Handler: h, Adapters: adapters})
}

// startWith is start with some of the configuration given.
func startWith(t testing.TB, s memory, cfg bot.Config) (stop func()) {
	t.Helper()
	wait := func(what store.What) func(context.Context, int64) (int64, error) {
		return func(ctx context.Context, seen int64) (int64, error) { return s.Await(ctx, what, seen) }
	}
	cfg.Outbox, cfg.Leaser, cfg.AwaitCommitted, cfg.AwaitOwed = s, s, wait(store.Committed), wait(store.Owed)
	cfg.Render, cfg.Words, cfg.Now, cfg.Log = words{}, i18n.Must(), time.Now, slog.New(slog.DiscardHandler)
	cfg.Holder = fmt.Sprint("holder", holders.Add(1))
	if cfg.Handler == nil {
		cfg.Handler = handler(func(bot.Inbound) bot.Answer { return bot.Answer{} })
	}
	b := bot.New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = b.Run(ctx) }()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

func alert(story string, n int, headline string, change ...func(*chokepoint.Alert)) chokepoint.Alert {
	s := chokepoint.StoryID(story)
	a := chokepoint.Alert{ID: s.Alert(n), Story: s, Update: n, Topic: "t", Kind: chokepoint.AlertMilestone, Severity: chokepoint.Notice, Headline: headline, At: time.Now(), Seen: time.Now()}
	for _, f := range change {
		f(&a)
	}
	return a
}

func publish(t testing.TB, s *sqlitestore.Store, alerts ...chokepoint.Alert) {
	t.Helper()
	if err := s.Publish(t.Context(), time.Now(), alerts); err != nil {
		t.Fatal(err)
	}
}

func TestAlertsArriveInOrderWhateverFailsOnTheWay(t *testing.T) {
	t.Parallel()
	s, p := open(t), newPlatform()
	p.limits.Dedups = true
	p.script = func(n int, _ bot.Target, _ bot.Message) error {
		switch n % 4 {
		case 1:
			return &bot.SendError{Class: bot.Unknown, Err: errors.New("the answer was lost")}
		case 2:
			return &bot.SendError{Class: bot.RateLimited, Wait: time.Millisecond, Err: errors.New("slower")}
		}
		return nil
	}
	var want []string
	var all []chokepoint.Alert
	for i := range 6 {
		want = append(want, fmt.Sprint("alert ", i))
		all = append(all, alert(fmt.Sprint("story", i), 0, want[i]))
	}
	publish(t, s, all...)
	start(t, s, nil, p)
	p.until(t, "all six", func(p *platform) bool { return len(p.shown) == 6 })
	if !slices.Equal(p.texts(), want) {
		t.Errorf("shown %q", p.texts())
	}
}

func TestALaterTellingChangesTheCardAndAnEscalationAnswersIt(t *testing.T) {
	t.Parallel()
	s, p := open(t), newPlatform()
	start(t, s, nil, p)
	publish(t, s, alert("story", 0, "first"))
	p.until(t, "the first", func(p *platform) bool { return len(p.shown) == 1 })
	publish(t, s, alert("story", 1, "seven sources"))
	p.until(t, "the card changed", func(p *platform) bool { return p.shown[0].text == "seven sources" })
	publish(t, s, alert("story", 2, "filed", func(a *chokepoint.Alert) { a.Escalate = true }))
	p.until(t, "the escalation", func(p *platform) bool { return len(p.shown) == 2 })
	if got := p.shown[1]; got.text != "filed" || got.to.Answer != "m0" || got.to.Edit != "" {
		t.Errorf("%+v", got)
	}
}

func TestAnUpdateOfAStoryThatTheChatNeverGotIsShownAnew(t *testing.T) {
	t.Parallel()
	s, p := open(t), newPlatform()
	publish(t, s, alert("story", 3, "late"))
	start(t, s, nil, p)
	p.until(t, "the update", func(p *platform) bool { return len(p.shown) == 1 && p.shown[0].to.Edit == "" })
}

func TestARejectedMessageIsShownPlainAndThenGivenUpWithANotice(t *testing.T) {
	t.Parallel()
	s, p := open(t), newPlatform()
	p.script = func(_ int, _ bot.Target, m bot.Message) error {
		if strings.Contains(m.PlainText(), "poison") || strings.Contains(m.Title, "markup") {
			return &bot.SendError{Class: bot.Rejected, Err: errors.New("400")}
		}
		return nil
	}
	publish(t, s, alert("s1", 0, "markup trouble"), alert("s2", 0, "poison"), alert("s3", 0, "after"))
	start(t, s, nil, p)
	p.until(t, "the last", func(p *platform) bool { return len(p.shown) == 3 })
	if got := p.texts(); got[0] != "markup trouble" || !strings.Contains(got[1], "/why s2") || got[2] != "after" {
		t.Errorf("shown %q", got)
	}
	dead, err := s.DeadLetters(t.Context(), 10)
	if err != nil || len(dead) != 1 || dead[0].Alert != "s2" {
		t.Errorf("dead letters %+v, %v", dead, err)
	}
}

func TestAMessageThatBreaksOurCodeIsGivenUpAndTheLaneGoesOn(t *testing.T) {
	t.Parallel()
	s, p := open(t), newPlatform()
	publish(t, s, alert("s1", 0, "break our code"), alert("s2", 0, "after"))
	start(t, s, nil, p)
	p.until(t, "the next", func(p *platform) bool { return slices.Contains(p.texts(), "after") })
}

func TestALostAnswerIsRepeatedOnceAndMarkedWhereThePlatformDoesNotDropRepeats(t *testing.T) {
	t.Parallel()
	s, p := open(t), newPlatform()
	p.script = func(n int, _ bot.Target, _ bot.Message) error {
		if n < 2 {
			return &bot.SendError{Class: bot.Unknown, Err: errors.New("the answer was lost")}
		}
		return nil
	}
	publish(t, s, alert("s1", 0, "deal"), alert("s2", 0, "after"))
	start(t, s, nil, p)
	p.until(t, "the next", func(p *platform) bool { return slices.Contains(p.texts(), "after") })
	if want := []string{"deal", "deal (again)", "after"}; !slices.Equal(p.texts(), want) {
		t.Errorf("shown %q, want %q", p.texts(), want)
	}
}

func TestAChatThatIsGoneIsLeftAlone(t *testing.T) {
	t.Parallel()
	s, p := open(t), newPlatform()
	p.script = func(int, bot.Target, bot.Message) error {
		return &bot.SendError{Class: bot.ChatGone, Err: errors.New("kicked")}
	}
	publish(t, s, alert("s1", 0, "a"), alert("s2", 0, "b"))
	start(t, s, nil, p)
	p.until(t, "the lane is closed", func(*platform) bool {
		d, err := s.Depth(t.Context(), time.Now())
		return err == nil && d.Pending == 0 && d.Spreads == 0
	})
	c, err := s.Chat(t.Context(), chat)
	if err != nil || c.Gone == "" || p.n != 1 {
		t.Errorf("chat %+v, %v after %d sends", c, err, p.n)
	}
}

func TestTwoReplicasShowEachAlertOnce(t *testing.T) {
	t.Parallel()
	s, p := open(t), newPlatform()
	const chats, alerts = 40, 5
	for i := range chats {
		if err := s.PutChat(t.Context(), chokepoint.Chat{ID: chokepoint.ChatID{Platform: p.name, ID: fmt.Sprint("c", i)}, Language: "en", Zone: "UTC", Topics: []chokepoint.Topic{"t"}}); err != nil {
			t.Fatal(err)
		}
	}
	start(t, s, nil, p)
	start(t, s, nil, p)
	for i := range alerts {
		publish(t, s, alert(fmt.Sprint("story", i), 0, fmt.Sprint(i)))
	}
	p.until(t, "all", func(p *platform) bool { return len(p.shown) >= (chats+1)*alerts })
	last := map[chokepoint.ChatID]string{}
	for _, m := range p.shown {
		if m.text <= last[m.to.Chat] {
			t.Errorf("%s saw %s after %s", m.to.Chat, m.text, last[m.to.Chat])
		}
		last[m.to.Chat] = m.text
	}
	if len(p.shown) != (chats+1)*alerts {
		t.Errorf("%d messages, want %d", len(p.shown), (chats+1)*alerts)
	}
}

func TestStoppingLetsASendUnderWayFinishAndSettlesIt(t *testing.T) {
	t.Parallel()
	s, p := open(t), newPlatform()
	under, goOn := make(chan struct{}), make(chan struct{})
	p.script = func(n int, _ bot.Target, _ bot.Message) error {
		if n == 0 {
			close(under)
			<-goOn
		}
		return nil
	}
	publish(t, s, alert("s1", 0, "a"), alert("s2", 0, "b"))
	for more := true; more; {
		var err error
		if more, err = s.Spread(t.Context(), time.Now(), 10); err != nil {
			t.Fatal(err)
		}
	}
	stop := start(t, s, nil, p)
	<-under
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	select {
	case <-stopped:
		t.Fatal("stopped with a send under way")
	case <-time.After(50 * time.Millisecond):
	}
	close(goOn)
	<-stopped
	d, err := s.Depth(t.Context(), time.Now())
	if err != nil || d.Pending != 1 || d.Granted != 0 || len(p.shown) != 1 {
		t.Errorf("depth %+v, %v, shown %q: want one settled and one given back", d, err, p.texts())
	}
}

func TestARefusedPlatformIsToldThroughTheOthers(t *testing.T) {
	t.Parallel()
	s, bad, good := open(t), newPlatform(), newPlatform()
	good.name = chokepoint.Discord
	ops := chokepoint.ChatID{Platform: chokepoint.Discord, ID: "ops"}
	if err := s.PutChat(t.Context(), chokepoint.Chat{ID: ops, Language: "en", Zone: "UTC", Topics: []chokepoint.Topic{chokepoint.TopicOps}}); err != nil {
		t.Fatal(err)
	}
	bad.run = func(context.Context, func(context.Context, bot.Inbound)) error {
		return fmt.Errorf("telegram: the token was revoked: %w", bot.ErrStopped)
	}
	start(t, s, nil, bad, good)
	good.until(t, "operators are told", func(p *platform) bool { return len(p.shown) == 1 && p.shown[0].to.Chat == ops })
}

func TestCommandsAreAnsweredAndABrokenOneGetsAnApology(t *testing.T) {
	t.Parallel()
	s, p := open(t), newPlatform()
	p.run = func(ctx context.Context, got func(context.Context, bot.Inbound)) error {
		for i, text := range []string{"/status", "/panic", "/discuss", "/discuss"} {
			in := bot.Inbound{ID: fmt.Sprint(i), Chat: chat, User: "u", Text: text, Locale: "zh-hans"}
			if i == 3 {
				in.Chat.ID = "elsewhere"
			}
			got(ctx, in)
		}
		<-ctx.Done()
		return nil
	}
	if err := s.PutPosting(t.Context(), chokepoint.Posting{Chat: chat, Story: "story", Alert: "story", Message: "m9"}); err != nil {
		t.Fatal(err)
	}
	start(t, s, handler(func(in bot.Inbound) bot.Answer {
		switch in.Text {
		case "/panic":
			panic("on purpose")
		case "/discuss":
			return bot.Answer{Message: bot.Message{Title: "opened"}, Discuss: "story", Thread: "name"}
		}
		return bot.Answer{Message: bot.Message{Title: strings.Repeat("long ", 150), Lines: []bot.Line{bot.Text(strings.Repeat("and longer ", 200))}}}
	}), p)
	p.until(t, "all answers", func(p *platform) bool { return len(p.replies) >= 6 })
	n := len(p.replies)
	if got := p.replies[n-3].PlainText(); !strings.Contains(got, "请稍后再试") {
		t.Errorf("the apology is %q", got)
	}
	if got := p.replies[n-2].PlainText(); got != "opened" {
		t.Errorf("the thread's answer is %q", got)
	}
	if got := p.replies[n-1].PlainText(); !strings.Contains(got, "没有在本聊天里发过") {
		t.Errorf("a story that is not here: %q", got)
	}
	at, err := s.Posting(t.Context(), chat, "story")
	if err != nil || at.Thread != "thread-of-m9" {
		t.Errorf("posting %+v, %v", at, err)
	}
	// Follow-ups go into the thread.
	publish(t, s, alert("story", 1, "more", func(a *chokepoint.Alert) { a.Escalate = true }))
	p.until(t, "the follow-up", func(p *platform) bool { return len(p.shown) == 1 && p.shown[0].to.Thread == "thread-of-m9" })
}
