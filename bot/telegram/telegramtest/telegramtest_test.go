package telegramtest

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The words are those of Telegram's own server:
// https://github.com/tdlib/td (MessageEntity.cpp, parse_html)
func TestMarkupIsReadAsTelegramReadsIt(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		html, text, err string
		links           []Link
		mentions        []string
	}{
		{html: "a &lt;b&gt; &amp;amp; &quot; &#65;&#x42; &nbsp; > \"", text: `a <b> &amp; " AB &nbsp; > "`},
		{html: "  <b> x <i>y</i></b>\n", text: "x y"},
		{html: `<a href="https://x.org/?a=1&amp;b=&quot;">x</a>`, text: "x", links: []Link{{"x", `https://x.org/?a=1&b="`}}},
		{html: `<a href="javascript:x">x</a><a href="tg://user?id=1">y</a>`, text: "xy"},
		{html: "@durov me@some_name <pre>@durov</pre> @ab (@some_name)", text: "@durov me@some_name @durov @ab (@some_name)", mentions: []string{"durov", "some_name"}},
		{html: "a<br>b", err: `Unsupported start tag "br" at byte offset 1`},
		{html: "1 < 2", err: `Unsupported start tag "" at byte offset 2`},
		{html: "<b>a", err: `Can't find end tag corresponding to start tag "b"`},
		{html: "<i>abcd</b>", err: `Unmatched end tag at byte offset 7, expected "</i>", found "</b>"`},
		{html: "a</b>", err: `Unexpected end tag at byte offset 1`},
		{html: "a</b", err: `Unclosed end tag at byte offset 1`},
		{html: `<a href="x`, err: `Unclosed start tag at byte offset 0`},
		{html: "<pre><b>a</b></pre>", err: `Nested entities in "pre" at byte offset 5`},
	} {
		got, err := parse(tc.html)
		if tc.err != "" {
			if err == nil || err.Error() != tc.err {
				t.Errorf("%s: got %v, want %s", tc.html, err, tc.err)
			}
			continue
		}
		if err != nil || got.text != tc.text || !slices.Equal(got.links, tc.links) || !slices.Equal(got.mentions, tc.mentions) {
			t.Errorf("%s: got %+v, %v", tc.html, got, err)
		}
	}
}

// call calls a method as a bot would, and returns what was said against it.
func call(t *testing.T, s *Server, method string, params map[string]string) string {
	t.Helper()
	form := url.Values{}
	for k, v := range params {
		form.Set(k, v)
	}
	resp, err := http.PostForm(s.URL()+"/bot"+s.Token()+"/"+method, form)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		OK          bool
		Description string
		Code        int `json:"error_code"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	if !answer.OK && answer.Code != resp.StatusCode {
		t.Errorf("error_code %d in an answer with status %d", answer.Code, resp.StatusCode)
	}
	return answer.Description
}

func TestItRefusesWhatTelegramRefuses(t *testing.T) {
	t.Parallel()
	s := New(t)
	s.AddChat(1, Private)
	s.AddChat(2, Private)
	s.Kick(2)
	s.AddChat(-3, Group)
	s.Migrate(-3, -1003)
	s.AddChat(-1004, Forum)
	s.AddTopic(-1004, 7)
	s.CloseTopic(-1004, 7)
	s.AddChat(-1005, Forum)
	s.LetManageTopics(-1005)
	s.AddTopic(-1005, 7)
	s.CloseTopic(-1005, 7)
	buttons := func(text, data string) string {
		return `{"inline_keyboard":[[{"text":"` + text + `","callback_data":"` + data + `"}]]}`
	}
	for _, tc := range []struct {
		method string
		params map[string]string
		want   string
	}{
		{"sendMessage", map[string]string{"chat_id": "1", "text": strings.Repeat("字", 4096)}, ""},
		{"sendMessage", map[string]string{"chat_id": "1", "text": strings.Repeat("x", 4097)}, "Bad Request: message is too long"},
		{"sendMessage", map[string]string{"chat_id": "1", "text": strings.Repeat("<b>x</b>", 4095) + " " + "<b></b>", "parse_mode": "HTML"}, ""},
		{"sendMessage", map[string]string{"chat_id": "1", "text": strings.Repeat("<b></b>", 5000) + "x", "parse_mode": "HTML"}, "Bad Request: text is too long"},
		{"sendMessage", map[string]string{"chat_id": "1", "text": " <b> </b>", "parse_mode": "HTML"}, "Bad Request: message text is empty"},
		{"sendMessage", map[string]string{"chat_id": "1", "text": "x", "reply_markup": buttons("a", strings.Repeat("x", 64))}, ""},
		{"sendMessage", map[string]string{"chat_id": "1", "text": "x", "reply_markup": buttons("a", strings.Repeat("字", 22))}, "Bad Request: BUTTON_DATA_INVALID"},
		{"sendMessage", map[string]string{"chat_id": "1", "text": "x", "reply_markup": buttons("a", "")}, "Bad Request: BUTTON_DATA_INVALID"},
		{"sendMessage", map[string]string{"chat_id": "1", "text": "x", "reply_parameters": `{"message_id":99999}`}, "Bad Request: message to be replied not found"},
		{"sendMessage", map[string]string{"chat_id": "1", "text": "x", "message_thread_id": "9"}, ""}, // ignored where there are no topics
		{"sendMessage", map[string]string{"chat_id": "404", "text": "x"}, "Bad Request: chat not found"},
		{"sendMessage", map[string]string{"chat_id": "2", "text": "x"}, "Forbidden: bot was blocked by the user"},
		{"sendMessage", map[string]string{"chat_id": "-3", "text": "x"}, "Bad Request: group chat was upgraded to a supergroup chat"},
		{"sendMessage", map[string]string{"chat_id": "-1004", "text": "x", "message_thread_id": "7"}, "Bad Request: TOPIC_CLOSED"},
		{"sendMessage", map[string]string{"chat_id": "-1004", "text": "x", "message_thread_id": "8"}, "Bad Request: message thread not found"},
		{"sendMessage", map[string]string{"chat_id": "-1004", "text": "x", "message_thread_id": "1"}, "Bad Request: message thread not found"},
		{"sendPhoto", map[string]string{"chat_id": "1", "caption": "x"}, "Bad Request: there is no photo in the request"},
		{"editMessageText", map[string]string{"chat_id": "1", "message_id": "99999", "text": "x"}, "Bad Request: message to edit not found"},
		{"answerCallbackQuery", map[string]string{"callback_query_id": "none"}, "Bad Request: query is too old and response timeout expired or query ID is invalid"},
		{"setMyCommands", map[string]string{"language_code": "zh-CN", "commands": "[]"}, "Bad Request: invalid language code specified"},
		{"setMyCommands", map[string]string{"commands": `[{"command":"Why","description":"x"}]`}, "Bad Request: BOT_COMMAND_INVALID"},
		{"setMyCommands", map[string]string{"commands": "[]", "scope": `{"type":"everyone"}`}, "Bad Request: can't parse BotCommandScope"},
		{"sendChatAction", map[string]string{"chat_id": "1", "action": "typing"}, ""},
		{"createForumTopic", map[string]string{"chat_id": "1", "name": "x"}, "Bad Request: the chat is not a forum"},
		{"createForumTopic", map[string]string{"chat_id": "-1004", "name": "x"}, "Bad Request: not enough rights to create a topic"},
		{"createForumTopic", map[string]string{"chat_id": "-1005", "name": strings.Repeat("x", 129)}, "Bad Request: TOPIC_NAME_INVALID"},
		{"createForumTopic", map[string]string{"chat_id": "-1005", "name": "x"}, ""},
		{"sendMessage", map[string]string{"chat_id": "-1005", "text": "x", "message_thread_id": "7"}, ""}, // closed, but for managers
		{"editMessageReplyMarkup", map[string]string{"chat_id": "-1005", "message_id": "99999"}, "Bad Request: message to edit not found"},
		{"sendRocket", nil, "Not Found: method not found"},
	} {
		if got := call(t, s, tc.method, tc.params); got != tc.want {
			t.Errorf("%s %.80v: got %q, want %q", tc.method, tc.params, got, tc.want)
		}
	}
	s.Revoke()
	if got := call(t, s, "getMe", nil); got != "Unauthorized" {
		t.Errorf("a revoked token is told %q", got)
	}
}

func TestAnEditShowsWhatWasThereBefore(t *testing.T) {
	t.Parallel()
	s := New(t)
	s.AddChat(1, Private)
	call(t, s, "sendMessage", map[string]string{"chat_id": "1", "text": "first"})
	id := map[string]string{"chat_id": "1", "message_id": "101", "text": "second"}
	if got := call(t, s, "editMessageText", id); got != "" {
		t.Fatal(got)
	}
	if got := call(t, s, "editMessageText", id); !strings.HasPrefix(got, "Bad Request: message is not modified") {
		t.Errorf("the same again is told %q", got)
	}
	m := s.WaitMessages(t, 1, 1)[0]
	if m.Text != "second" || !slices.Equal(m.Was, []string{"first"}) || m.Edits != 1 {
		t.Errorf("shown as %+v", m)
	}
}

func TestTwoPollersAreOneTooMany(t *testing.T) {
	t.Parallel()
	s := New(t)
	s.AddChat(1, Private)
	first := make(chan string, 1)
	go func() { first <- call(t, s, "getUpdates", map[string]string{"timeout": "50"}) }()
	if err := s.Polling(t.Context()); err != nil {
		t.Fatal(err)
	}
	second := make(chan string, 1)
	go func() { second <- call(t, s, "getUpdates", map[string]string{"timeout": "50"}) }()
	if got := <-first; !strings.HasPrefix(got, "Conflict: terminated by other getUpdates request") {
		t.Errorf("the first poller is told %q", got)
	}
	s.Say(1, 1, "hello")
	if got := <-second; got != "" {
		t.Errorf("the second poller is told %q", got)
	}
}

func TestButtonsAloneCanBeChanged(t *testing.T) {
	t.Parallel()
	s := New(t)
	s.AddChat(1, Private)
	call(t, s, "sendMessage", map[string]string{"chat_id": "1", "text": "first", "reply_markup": `{"inline_keyboard":[[{"text":"a","callback_data":"b"}]]}`})
	if got := call(t, s, "editMessageReplyMarkup", map[string]string{"chat_id": "1", "message_id": "101"}); got != "" {
		t.Fatal(got)
	}
	if m := s.Messages(1)[0]; m.Text != "first" || len(m.Buttons) != 0 || m.Edits != 1 {
		t.Errorf("shown as %+v", m)
	}
}

func TestMenusOfOneScopeAreNotThoseOfAnother(t *testing.T) {
	t.Parallel()
	s := New(t)
	for scope, help := range map[string]string{"default": "for all", "all_group_chats": "for groups"} {
		call(t, s, "setMyCommands", map[string]string{"commands": `[{"command":"why","description":"` + help + `"}]`, "scope": `{"type":"` + scope + `"}`})
	}
	if got := s.Menu("zh")["why"]; got != "for all" {
		t.Errorf("people are offered %q", got)
	}
}

func TestTheRateLimitsAreThoseThatArePublished(t *testing.T) {
	t.Parallel()
	s := New(t)
	now := time.Unix(1_800_000_000, 0)
	s.Limit(func() time.Time { return now })
	s.AddChat(-1, Group)
	send := func(c string) string {
		t.Helper()
		return call(t, s, "sendMessage", map[string]string{"chat_id": c, "text": "x"})
	}
	for i := range 20 {
		if got := send("-1"); got != "" {
			t.Fatalf("message %d within a minute: %s", i, got)
		}
		now = now.Add(time.Second)
	}
	if got := send("-1"); got != "Too Many Requests: retry after 40" {
		t.Errorf("the group's 21st within a minute: %q", got)
	}
	now = now.Add(40 * time.Second)
	for i := range 31 {
		id := strconv.Itoa(100 + i)
		s.AddChat(100+int64(i), Private)
		if got, want := send(id), i == 30; (got != "") != want {
			t.Errorf("message %d within a second, over all: %q", i, got)
		}
	}
	now = now.Add(5 * time.Second)
	for i := range 6 {
		if got, want := send("100"), i >= 5; (got != "") != want {
			t.Errorf("message %d of a burst: %q", i, got)
		}
	}
}
