package telegram

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/png"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chokepoint-bot/chokepoint/bot"
	"github.com/chokepoint-bot/chokepoint/bot/telegram/telegramtest"
	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

const group = -77

// fresh is a server with a group, a forum and a private chat.
func fresh(t *testing.T) *telegramtest.Server {
	t.Helper()
	s := telegramtest.New(t)
	s.AddChat(group, telegramtest.Group)
	s.AddChat(forum, telegramtest.Forum)
	s.AddTopic(forum, topic)
	s.AddChat(private, telegramtest.Private)
	return s
}

func line(s string) bot.Message { return bot.Message{Lines: []bot.Line{bot.Text(s)}} }

func chart(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 8, 8))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func failed(t *testing.T, err error) *bot.SendError {
	t.Helper()
	var e *bot.SendError
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want a *bot.SendError", err)
	}
	return e
}

func TestFailuresAreToldApartByWhatTelegramSays(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		code int
		said string
		want bot.Class
	}{
		{400, "Bad Request: chat not found", bot.ChatGone},
		{400, "Bad Request: CHAT_WRITE_FORBIDDEN", bot.ChatGone},
		{400, "Bad Request: not enough rights to send text messages to the chat", bot.ChatGone},
		{400, "Bad Request: not enough rights to send photos to the chat", bot.Rejected},
		{400, "Bad Request: message to edit not found", bot.MessageGone},
		{400, "Bad Request: message can't be edited", bot.MessageGone},
		{400, "Bad Request: IMAGE_PROCESS_FAILED", bot.Rejected},
		{400, "Bad Request: message is too long", bot.Rejected},
		{401, "Unauthorized", bot.Unauthorized},
		{403, "Forbidden: bot was blocked by the user", bot.ChatGone},
		{403, "Forbidden: user is deactivated", bot.ChatGone},
		{403, "Forbidden: bot is not a member of the supergroup chat", bot.ChatGone},
		{404, "Not Found", bot.Unauthorized},
		{404, "Not Found: method not found", bot.Rejected},
		{413, "Request Entity Too Large", bot.Rejected},
		{429, "Too Many Requests: retry after 3", bot.RateLimited},
		{500, "Internal Server Error", bot.Unknown},
		{503, "Service Unavailable", bot.Transient},
	} {
		for _, m := range []bot.Message{line("x"), {Title: "x", Image: chart(t)}} { // uploads fail in another way in the library
			s := fresh(t)
			s.FailWith(1, tc.code, tc.said)
			_, err := newAdapter(t, s, nil).Send(t.Context(), bot.Target{Chat: chatID(group, 0)}, m, "")
			if e := failed(t, err); e.Class != tc.want {
				t.Errorf("%d %q is %s, want %s", tc.code, tc.said, e.Class, tc.want)
			}
			if !strings.Contains(err.Error(), tc.said) {
				t.Errorf("%q does not say what Telegram said", err)
			}
		}
	}
}

func TestAPictureIsHeldBackAsLongAsTelegramSays(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	s.FailTooMany(1, 37)
	_, err := newAdapter(t, s, nil).Send(t.Context(), bot.Target{Chat: chatID(group, 0)}, bot.Message{Image: chart(t)}, "")
	if e := failed(t, err); e.Class != bot.RateLimited || e.Wait != 37*time.Second || e.Global {
		t.Errorf("got %+v", e)
	}
}

func TestWhatDidNotLeaveIsTransientAndWhatMayHaveIsUnknown(t *testing.T) {
	t.Parallel()
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead.Close()
	s := fresh(t)
	nowhere := newAdapter(t, s, func(c *Config) { c.APIURL = "http://" + dead.Addr().String() })
	cut := newAdapter(t, s, nil)
	s.FailCut(2)
	for _, m := range []bot.Message{line("x"), {Title: "x", Image: chart(t)}} {
		for _, tc := range []struct {
			a    *Adapter
			want bot.Class
		}{{nowhere, bot.Transient}, {cut, bot.Unknown}} {
			_, err := tc.a.Send(t.Context(), bot.Target{Chat: chatID(group, 0)}, m, "")
			if e := failed(t, err); e.Class != tc.want {
				t.Errorf("%v is %s, want %s", err, e.Class, tc.want)
			}
			if secret := s.Token()[8:]; strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "/bot") {
				t.Error("the error holds the token or its address")
			}
		}
	}
}

func TestAnAnswerThatIsNotTheAPIsIsUnknown(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"an empty answer":  func(http.ResponseWriter, *http.Request) {},
		"an empty object":  func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) },
		"a list":           func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("[]")) },
		"a strange result": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"ok":true,"result":"yes"}`)) },
		"a redirect":       func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
	} {
		peer := httptest.NewServer(answer)
		t.Cleanup(peer.Close)
		a := newAdapter(t, fresh(t), func(c *Config) { c.APIURL = peer.URL })
		_, err := a.Send(t.Context(), bot.Target{Chat: chatID(group, 0)}, line("x"), "")
		if e := failed(t, err); e.Class != bot.Unknown || strings.Contains(err.Error(), "AAtest") {
			t.Errorf("%s: %v", name, err)
		}
		a.client.http.CloseIdleConnections()
	}
}

func TestMarkupThatTelegramCannotReadIsSentOnceWithout(t *testing.T) {
	t.Parallel()
	const no = "Bad Request: can't parse entities: Unsupported start tag \"x\" at byte offset 0"
	s := fresh(t)
	a := newAdapter(t, s, nil)
	to := bot.Target{Chat: chatID(group, 0)}
	m := bot.Message{Title: "1 < 2 & 3", URL: "https://example.com", Actions: []bot.Action{{Label: "why", Command: "/why 1"}}}
	s.FailWith(1, 400, no)
	p, err := a.Send(t.Context(), to, m, "")
	if err != nil {
		t.Fatal(err)
	}
	got := s.Messages(group)
	if len(got) != 1 || got[0].Text != "1 < 2 & 3" || len(got[0].Links) != 0 || len(got[0].Buttons) != 1 {
		t.Errorf("shown as %+v", got)
	}
	for _, edit := range []bot.Message{line("3 < 4"), {Title: "4 < 5", Image: chart(t)}} {
		s.FailWith(1, 400, no)
		to.Edit = p.Message
		if _, err := a.Send(t.Context(), to, edit, ""); err != nil {
			t.Fatal(err)
		}
		if got := s.Messages(group)[0].Text; got != edit.PlainText() {
			t.Errorf("changed to %q", got)
		}
	}
	s.FailWith(2, 400, no)
	if _, err := a.Send(t.Context(), bot.Target{Chat: chatID(group, 0)}, m, ""); failed(t, err).Class != bot.Rejected {
		t.Errorf("refused twice: %v", err)
	}
}

func TestATopicCanBeAChatOfItsOwn(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	a := newAdapter(t, s, nil)
	send := func(c chokepoint.ChatID, thread string) bot.Posted {
		t.Helper()
		p, err := a.Send(t.Context(), bot.Target{Chat: c, Thread: thread}, line("x"), "")
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	last := func() telegramtest.Message { all := s.Messages(forum); return all[len(all)-1] }
	if p := send(chatID(forum, topic), ""); last().Thread != topic || p.Elsewhere {
		t.Errorf("posted as %+v, shown as %+v", p, last())
	}
	if p := send(chatID(forum, 1), ""); last().Thread != 0 || p.Elsewhere {
		t.Errorf("the general topic: posted as %+v, shown as %+v", p, last())
	}
	s.AddTopic(forum, 46)
	if p := send(chatID(forum, topic), "46"); last().Thread != 46 || p.Elsewhere {
		t.Errorf("a thread goes first: posted as %+v, shown as %+v", p, last())
	}
	s.CloseTopic(forum, topic)
	if p := send(chatID(forum, topic), ""); last().Thread != 0 || !p.Elsewhere {
		t.Errorf("a closed topic: posted as %+v, shown as %+v", p, last())
	}
}

func TestAPictureWithMoreThanACaptionIsForTheCoreToSplit(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	a := newAdapter(t, s, nil)
	m := line(strings.Repeat("x", captionMost+1))
	m.Image = chart(t)
	if n := a.Limits().Measure(m); n <= a.Limits().Text {
		t.Errorf("measures %d", n)
	}
	if _, err := a.Send(t.Context(), bot.Target{Chat: chatID(group, 0)}, m, ""); failed(t, err).Class != bot.Rejected {
		t.Errorf("got %v", err)
	}
}

func TestAPictureWhoseNewTextIsTooLongForACaptionIsShownAnew(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	a := newAdapter(t, s, nil)
	to := bot.Target{Chat: chatID(group, 0)}
	p, err := a.Send(t.Context(), to, bot.Message{Title: "x", Image: chart(t)}, "")
	if err != nil {
		t.Fatal(err)
	}
	to.Edit = p.Message
	if _, err = a.Send(t.Context(), to, line(strings.Repeat("x", captionMost+1)), ""); failed(t, err).Class != bot.MessageGone {
		t.Errorf("got %v", err)
	}
}

func TestLinksAreNotShownAtLarge(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	a := newAdapter(t, s, nil)
	to := bot.Target{Chat: chatID(group, 0)}
	m := bot.Message{Title: "x", URL: "https://example.com/"}
	if _, err := a.Send(t.Context(), to, m, ""); err != nil {
		t.Fatal(err)
	}
	if got := s.Messages(group)[0]; got.Preview || len(got.Links) != 1 {
		t.Errorf("shown as %+v", got)
	}
}

func TestAGroupBearsThePace(t *testing.T) {
	t.Parallel()
	l := (&Adapter{}).Limits()
	// Whatever minute is looked at: a burst, then one per Every.
	if n := l.Burst + int((time.Minute-1)/l.Every); n > 20 {
		t.Errorf("%d messages go in a minute, and a group takes 20", n)
	}
	if l.Global > time.Second || time.Second/l.Global > 30 {
		t.Errorf("one message per %s over all chats", l.Global)
	}
}

func TestConfigurationsThatCannotWorkAreRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]Config{
		"no token":                {},
		"a token without its bot": {Token: "AAsecretsecret"},
		"a token with a path":     {Token: "1:AAsecret/../x"},
		"no address":              {Token: "1:AAsecret", APIURL: "api.telegram.org"},
		"an address with a query": {Token: "1:AAsecret", APIURL: "https://api.telegram.org/?x=1"},
	} {
		if _, err := New(c); err == nil || strings.Contains(err.Error(), "AAsecret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnEndedContextIsNoLostAnswer(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := fresh(t)
	_, err := newAdapter(t, s, nil).Send(ctx, bot.Target{Chat: chatID(group, 0)}, line("x"), "")
	if e := failed(t, err); e.Class != bot.Transient || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestAPictureForManyChatsIsUploadedOnce(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	a := newAdapter(t, s, nil)
	m := bot.Message{Title: "chart", Image: chart(t)}
	uploads := func() (n int) {
		for _, r := range s.Requests() {
			n += len(r.Files)
		}
		return n
	}
	var last bot.Posted
	for _, c := range []int64{group, forum, private, group} {
		p, err := a.Send(t.Context(), bot.Target{Chat: chatID(c, 0)}, m, "")
		if err != nil {
			t.Fatal(err)
		}
		last = p
	}
	if _, err := a.Send(t.Context(), bot.Target{Chat: chatID(group, 0), Edit: last.Message}, bot.Message{Title: "edited", Image: chart(t)}, ""); err != nil {
		t.Fatal(err)
	}
	if n := uploads(); n != 1 {
		t.Errorf("uploaded %d times", n)
	}
	s.ForgetPhotos()
	for range 2 {
		if _, err := a.Send(t.Context(), bot.Target{Chat: chatID(forum, 0)}, m, ""); err != nil {
			t.Fatal(err)
		}
	}
	if n := uploads(); n != 2 {
		t.Errorf("uploaded %d times after Telegram forgot it, want once more", n)
	}
	for _, shown := range s.All() {
		if !bytes.Equal(shown.Photo, m.Image) {
			t.Errorf("shown as %+v", shown)
		}
	}
}

func TestAnAnswerCutInHalfLeavesItUnknown(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	s.FailHalf(2)
	a := newAdapter(t, s, nil)
	for i, m := range []bot.Message{line("x"), {Title: "x", Image: chart(t)}} {
		_, err := a.Send(t.Context(), bot.Target{Chat: chatID(group, 0)}, m, "")
		if e := failed(t, err); e.Class != bot.Unknown || len(s.Messages(group)) != i+1 {
			t.Errorf("%v with %d shown", err, len(s.Messages(group)))
		}
	}
}

// A sender that keeps to Limits is never refused for its pace.
func TestTelegramBearsThePace(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	now := time.Unix(1_800_000_000, 0)
	s.Limit(func() time.Time { return now })
	a := newAdapter(t, s, nil)
	l := a.Limits()
	send := func() error {
		_, err := a.Send(t.Context(), bot.Target{Chat: chatID(group, 0)}, line("x"), "")
		return err
	}
	for range 3 { // bursts after a rest, and what follows
		now = now.Add(time.Hour)
		for range l.Burst - 1 {
			if err := send(); err != nil {
				t.Fatal(err)
			}
			now = now.Add(l.Global)
		}
		for range 40 {
			if err := send(); err != nil {
				t.Fatal(err)
			}
			now = now.Add(l.Every)
		}
	}
	for range 20 { // twice the pace is too much
		now = now.Add(l.Every / 2)
		if err := send(); err != nil {
			if e := failed(t, err); e.Class != bot.RateLimited || e.Wait < time.Second || e.Wait > time.Minute {
				t.Errorf("got %+v", e)
			}
			return
		}
	}
	t.Error("the fake bears any pace")
}

func TestAnUploadCanBeSentAgainOnANewConnection(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	var lengths []int64
	a := newAdapter(t, s, func(c *Config) {
		c.HTTP = roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.GetBody == nil {
				t.Error("the body is gone with the first try")
			}
			lengths = append(lengths, r.ContentLength)
			return http.DefaultTransport.RoundTrip(r)
		})
	})
	m := bot.Message{Title: "x", Image: chart(t)}
	if _, err := a.Send(t.Context(), bot.Target{Chat: chatID(group, 0)}, m, ""); err != nil {
		t.Fatal(err)
	}
	if len(lengths) != 1 || lengths[0] < int64(len(m.Image)) {
		t.Errorf("lengths are %v", lengths)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
