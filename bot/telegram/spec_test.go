package telegram

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/chokepoint-bot/chokepoint/bot"
	"github.com/chokepoint-bot/chokepoint/bot/telegram/telegramtest"
)

// spec is the Bot API in its machine-readable form.
// https://github.com/PaulSonOfLars/telegram-bot-api-spec
type spec struct {
	Methods map[string]struct {
		Fields []field `json:"fields"`
	} `json:"methods"`
	Types map[string]struct {
		Fields   []field  `json:"fields"`
		Subtypes []string `json:"subtypes"`
	} `json:"types"`
}

type field struct {
	Name     string   `json:"name"`
	Types    []string `json:"types"`
	Required bool     `json:"required"`
}

// readSpec skips the test where the description is not at hand.
func readSpec(t *testing.T) spec {
	t.Helper()
	dir := os.Getenv("CHOKEPOINT_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared")
	}
	raw, err := os.ReadFile(filepath.Join(dir, "specs", "telegram-bot-api.json"))
	if err != nil {
		t.Skipf("no description of the Bot API (%v): set CHOKEPOINT_SHARED", err)
	}
	var s spec
	if err := json.Unmarshal(raw, &s); err != nil || len(s.Methods) < 100 {
		t.Fatalf("%d methods: %v", len(s.Methods), err)
	}
	return s
}

// check says what is wrong with a request.
func (s spec) check(r telegramtest.Request) error {
	m, known := s.Methods[r.Method]
	if !known {
		return fmt.Errorf("there is no method %s", r.Method)
	}
	have := map[string]bool{}
	for name, values := range r.Params {
		have[name] = true
		i := slices.IndexFunc(m.Fields, func(f field) bool { return f.Name == name })
		if i < 0 {
			return fmt.Errorf("%s knows no %s", r.Method, name)
		}
		if err := s.param(m.Fields[i].Types, values[0]); err != nil {
			return fmt.Errorf("%s, %s %q: %w", r.Method, name, values[0], err)
		}
	}
	media := r.Params.Get("media")
	for _, name := range r.Files {
		i := slices.IndexFunc(m.Fields, func(f field) bool { return f.Name == name })
		if direct := i >= 0 && slices.Contains(m.Fields[i].Types, "InputFile"); !direct && !strings.Contains(media, `"attach://`+name+`"`) {
			return fmt.Errorf("%s takes no file %s", r.Method, name)
		}
		have[name] = true
	}
	for _, f := range m.Fields {
		if f.Required && !have[f.Name] {
			return fmt.Errorf("%s lacks %s", r.Method, f.Name)
		}
	}
	return nil
}

// param checks the text of a parameter: JSON but for strings.
func (s spec) param(types []string, text string) error {
	if slices.Contains(types, "String") {
		return nil
	}
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return err
	}
	return s.value(types, v)
}

// value checks a decoded value: it must be of one of the types.
func (s spec) value(types []string, v any) error {
	var first error
	for _, t := range types {
		err := s.one(t, v)
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
	}
	return first
}

func (s spec) one(kind string, v any) error {
	wrong := fmt.Errorf("%v is no %s", v, kind)
	if of, ok := strings.CutPrefix(kind, "Array of "); ok {
		list, ok := v.([]any)
		if !ok {
			return wrong
		}
		for _, e := range list {
			if err := s.one(of, e); err != nil {
				return err
			}
		}
		return nil
	}
	switch kind {
	case "String":
		if _, ok := v.(string); !ok {
			return wrong
		}
		return nil
	case "Boolean":
		if _, ok := v.(bool); !ok {
			return wrong
		}
		return nil
	case "Integer":
		if n, ok := v.(float64); !ok || n != float64(int64(n)) {
			return wrong
		}
		return nil
	}
	t, known := s.Types[kind]
	object, is := v.(map[string]any)
	if !known || !is {
		return wrong
	}
	if len(t.Subtypes) > 0 {
		return s.value(t.Subtypes, v)
	}
	for name, e := range object {
		i := slices.IndexFunc(t.Fields, func(f field) bool { return f.Name == name })
		if i < 0 {
			return fmt.Errorf("%s knows no %s", kind, name)
		}
		if err := s.value(t.Fields[i].Types, e); err != nil {
			return fmt.Errorf("%s.%s: %w", kind, name, err)
		}
	}
	for _, f := range t.Fields {
		if _, has := object[f.Name]; f.Required && !has {
			return fmt.Errorf("%s lacks %s", kind, f.Name)
		}
	}
	return nil
}

func TestEveryRequestIsAsTheBotAPIDescribesIt(t *testing.T) {
	t.Parallel()
	api := readSpec(t)
	for what, r := range map[string]telegramtest.Request{ // the check itself
		"an unknown method":    {Method: "sendRocket"},
		"an unknown parameter": {Method: "getMe", Params: map[string][]string{"x": {"1"}}},
		"a missing parameter":  {Method: "sendMessage", Params: map[string][]string{"chat_id": {"1"}}},
		"a wrong type":         {Method: "getUpdates", Params: map[string][]string{"limit": {"many"}}},
		"a wrong object":       {Method: "sendMessage", Params: map[string][]string{"chat_id": {"1"}, "text": {"x"}, "reply_parameters": {`{"message":1}`}}},
		"a file that is none":  {Method: "sendMessage", Params: map[string][]string{"chat_id": {"1"}, "text": {"x"}}, Files: []string{"photo"}},
	} {
		if api.check(r) == nil {
			t.Errorf("%s passes", what)
		}
	}

	s := fresh(t)
	s.HideMembers(forum)
	s.SetWebhook("https://example.com")
	a := newAdapter(t, s, nil)
	r := run(t, a)
	words := bot.Message{
		Title: "a <b>", URL: "https://example.com", Lines: []bot.Line{bot.Labelled("l", "t"), {Mono: true, Spans: []bot.Span{{Text: "1  2"}}}}, Footer: "f", Silent: true,
		Actions: []bot.Action{{Label: "why", Command: "/why 1"}, {Label: "mute", Command: "/mute 1"}},
	}
	picture := words
	picture.Image, picture.Alt = chart(t), "a line"
	other := picture
	other.Image = append(chart(t), 0)
	send := func(to bot.Target, m bot.Message) bot.Target {
		t.Helper()
		p, err := a.Send(t.Context(), to, m, "key")
		if err != nil {
			t.Fatal(err)
		}
		to.Edit = p.Message
		return to
	}
	first := send(bot.Target{Chat: chatID(forum, topic)}, words)
	send(first, line("edited"))
	send(first, picture)
	send(first, other)
	send(first, words) // a caption now
	send(bot.Target{Chat: chatID(forum, 0), Thread: strconv.Itoa(topic), Answer: first.Edit}, picture)
	s.FailWith(1, 400, "Bad Request: can't parse entities: x")
	send(bot.Target{Chat: chatID(private, 0)}, words)
	s.Say(forum, 5, "/status")
	in := r.next(t)
	if _, err := in.Admin(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := a.Reply(t.Context(), in, words); err != nil {
		t.Fatal(err)
	}
	s.Press(forum, number(first.Edit), "/why 1")
	r.next(t)
	if _, err := a.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}

	called := map[string]bool{}
	for _, r := range s.Requests() {
		called[r.Method] = true
		if err := api.check(r); err != nil {
			t.Error(err)
		}
	}
	want := []string{
		"answerCallbackQuery", "deleteWebhook", "editMessageCaption", "editMessageMedia", "editMessageText", "getChatAdministrators", "getChatMember",
		"getMe", "getMyCommands", "getUpdates", "sendMessage", "sendPhoto", "setMyCommands",
	}
	if got := slices.Sorted(maps.Keys(called)); !slices.Equal(got, want) {
		t.Errorf("checked %q, want %q", got, want)
	}
}
