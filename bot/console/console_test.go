package console

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chokepoint-bot/chokepoint/bot"
)

type screen struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func TestAHeadlineCannotMoveTheCursor(t *testing.T) {
	t.Parallel()
	out := &screen{}
	a := New(Config{Out: out, Color: true, Now: time.Now})
	hostile := "\x1b[2J\x1b[1;1Hgone\u202e\a\r"
	m := bot.Message{Title: hostile, URL: "https://x.org/a b\x1b[2J", Footer: hostile, Alt: hostile, Image: []byte{1},
		Lines: []bot.Line{{Label: hostile, Spans: []bot.Span{{Text: hostile, URL: "https://y.org/\x1b]8;;", Bold: true}}}}, Actions: []bot.Action{{Label: "x", Command: "/why \x1b[2J"}}}
	if _, err := a.Send(t.Context(), bot.Target{Chat: Chat}, m, "k"); err != nil {
		t.Fatal(err)
	}
	left := out.String()
	for _, ours := range []string{reset, bold, dim, green, red, amber, cyan} {
		left = strings.ReplaceAll(left, ours, "")
	}
	if strings.ContainsAny(left, "\x1b\a\r\u202e") {
		t.Errorf("control characters are left in %q", left)
	}
	if !strings.Contains(left, "gone") {
		t.Error("the text itself is lost")
	}
}

func TestColumnsLineUpInBothScripts(t *testing.T) {
	t.Parallel()
	out := &screen{}
	a := New(Config{Out: out, Now: time.Now})
	m := bot.Message{Title: "t", Lines: []bot.Line{bot.Labelled("为何重要", "甲"), bot.Labelled("冷水", "乙"), bot.Text("丙"), {}, {Mono: true, Spans: []bot.Span{{Text: "丁"}}}}}
	if _, err := a.Send(t.Context(), bot.Target{Chat: Chat}, m, ""); err != nil {
		t.Fatal(err)
	}
	if want := "\nt\n为何重要  甲\n冷水      乙\n          丙\n\n丁\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func TestACharacterTakesTheCellsThatATerminalGivesIt(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]int{"": 0, "Why": 3, "冷水": 4, "AAOI：": 6, "e\u0301": 1, "ｶﾅ": 2, "🟢 92": 5} {
		if got := columns(s); got != want {
			t.Errorf("%q takes %d cells, want %d", s, got, want)
		}
	}
}

func TestALineThatCannotBeReadIsLoggedAndEndsNothing(t *testing.T) {
	t.Parallel()
	logged := &screen{}
	a := New(Config{In: strings.NewReader(strings.Repeat("x", 1<<20)), Out: io.Discard, Now: time.Now, Log: slog.New(slog.NewTextHandler(logged, nil)), Quit: func() { t.Error("the person left") }})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- a.Run(ctx, nil, func(context.Context, bot.Inbound) { t.Error("half a line became a command") })
	}()
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(logged.String(), "too long"); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not logged: %q", logged.String())
		}
	}
	select {
	case err := <-done:
		t.Errorf("Run ended with %v", err)
	default:
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestLinesBecomeCommandsInOrderOfTyping(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe()
	out := &screen{}
	quit := make(chan struct{})
	a := New(Config{In: r, Out: out, Now: time.Now, Quit: func() { close(quit) }})
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan bot.Inbound)
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx, nil, func(_ context.Context, in bot.Inbound) { got <- in }) }()
	seen := map[string]bool{}
	for _, line := range []string{"/alert AAOI below 20", "AAOI?", "  提醒 AAOI 跌破 20 "} {
		if _, err := io.WriteString(w, "\n"+line+"\n"); err != nil {
			t.Fatal(err)
		}
		in := <-got
		if in.Text != strings.TrimSpace(line) || in.Chat != Chat || in.Group || seen[in.ID] {
			t.Errorf("%q arrived as %+v", line, in)
		}
		seen[in.ID] = true
		if ok, err := in.Admin(ctx); !ok || err != nil {
			t.Error("the person at the console is not admin")
		}
	}
	// A service has no standard input: its end is not a person leaving.
	w.Close()
	select {
	case <-quit:
		t.Error("the end of the input ended the program")
	case <-done:
		t.Error("the end of the input ended Run")
	default:
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestWhatATerminalCannotDoIsRefusedWithItsClass(t *testing.T) {
	t.Parallel()
	a := New(Config{Out: io.Discard, Now: time.Now})
	over := bot.Message{Lines: []bot.Line{bot.Text(strings.Repeat("字", textLimit+1))}}
	just := bot.Message{Lines: []bot.Line{bot.Text(strings.Repeat("字", textLimit))}}
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx  context.Context
		to   bot.Target
		m    bot.Message
		want bot.Class
		ok   bool
	}{
		"as long as it may be": {t.Context(), bot.Target{Chat: Chat}, just, 0, true},
		"too long":             {t.Context(), bot.Target{Chat: Chat}, over, bot.Rejected, false},
		"an edit":              {t.Context(), bot.Target{Chat: Chat, Edit: "1"}, just, bot.Rejected, false},
		"another chat":         {t.Context(), bot.Target{}, just, bot.ChatGone, false},
		"cancelled before":     {stopped, bot.Target{Chat: Chat}, just, bot.Transient, false},
	} {
		_, err := a.Send(c.ctx, c.to, c.m, "k")
		var se *bot.SendError
		if c.ok != (err == nil) || !c.ok && (!errors.As(err, &se) || se.Class != c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
