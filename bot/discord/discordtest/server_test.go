package discordtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// caller makes requests as a bot does.
type caller struct {
	t *testing.T
	s *Server
	c *http.Client
}

func newCaller(t *testing.T) *caller {
	s := New()
	wire := &http.Transport{}
	t.Cleanup(s.Close)
	t.Cleanup(wire.CloseIdleConnections)
	s.AddChannel(Channel{ID: "1"})
	return &caller{t, s, &http.Client{Transport: wire}}
}

// do returns the status (0 for no answer), the code and the body.
func (c *caller) do(method, path, kind string, body []byte, change ...func(*http.Request)) (int, int, map[string]any) {
	c.t.Helper()
	q, err := http.NewRequest(method, c.s.URL()+path, bytes.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bot "+c.s.Token())
	q.Header.Set("User-Agent", "DiscordBot (https://example.com, 1)")
	if kind != "" {
		q.Header.Set("Content-Type", kind)
	}
	for _, f := range change {
		f(q)
	}
	resp, err := c.c.Do(q)
	if err != nil {
		return 0, 0, nil
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, 0, nil
	}
	var v map[string]any
	json.Unmarshal(b, &v) // lists and pages have no code
	code, _ := v["code"].(float64)
	return resp.StatusCode, int(code), v
}

func (c *caller) json(method, path, body string) (int, int, map[string]any) {
	c.t.Helper()
	return c.do(method, path, "application/json", []byte(body))
}

const quietly = `"allowed_mentions":{"parse":[]}`

func TestWhatIsRefused(t *testing.T) {
	t.Parallel()
	long := func(n int) string { return strings.Repeat("字", n) }
	button := func(id string) string { return `{"type":2,"style":2,"label":"x","custom_id":"` + id + `"}` }
	for name, c := range map[string]struct {
		body string
		code int
	}{
		"a content of 2001":              {`"content":"` + long(2001) + `"`, 50035},
		"a title of 257":                 {`"embeds":[{"title":"` + long(257) + `"}]`, 50035},
		"a description of 4097":          {`"embeds":[{"description":"` + long(4097) + `"}]`, 50035},
		"a footer of 2049":               {`"embeds":[{"footer":{"text":"` + long(2049) + `"}}]`, 50035},
		"a field's value of 1025":        {`"embeds":[{"fields":[{"name":"a","value":"` + long(1025) + `"}]}]`, 50035},
		"a field without a name":         {`"embeds":[{"fields":[{"name":" ","value":"a"}]}]`, 50035},
		"6001 over two cards":            {`"embeds":[{"description":"` + long(4096) + `"},{"description":"` + long(1905) + `"}]`, 50035},
		"eleven cards":                   {`"embeds":[` + strings.Repeat(`{"title":"a"},`, 10) + `{"title":"a"}]`, 50035},
		"an address of another scheme":   {`"embeds":[{"title":"a","url":"ftp://example.com/"}]`, 50035},
		"nothing":                        {`"content":"  "`, 50006},
		"an empty card":                  {`"embeds":[{}]`, 50006},
		"six rows":                       {`"components":[` + strings.Repeat(`{"type":1,"components":[`+button("a")+`]},`, 5) + `{"type":1,"components":[` + button("b") + `]}]`, 50035},
		"six buttons in a row":           {`"components":[{"type":1,"components":[` + strings.Repeat(button("a")+",", 5) + button("b") + `]}]`, 50035},
		"an empty row":                   {`"components":[{"type":1,"components":[]}]`, 50035},
		"a custom_id of 101":             {`"components":[{"type":1,"components":[` + button(long(101)) + `]}]`, 50035},
		"a custom_id twice":              {`"components":[{"type":1,"components":[` + button("a") + `]},{"type":1,"components":[` + button("a") + `]}]`, 50035},
		"a label of 81":                  {`"components":[{"type":1,"components":[{"type":2,"style":2,"custom_id":"a","label":"` + long(81) + `"}]}]`, 50035},
		"a button without a label":       {`"components":[{"type":1,"components":[{"type":2,"style":2,"custom_id":"a"}]}]`, 50035},
		"a nonce of 26":                  {`"content":"a","nonce":"` + strings.Repeat("x", 26) + `"`, 50035},
		"an answer to nothing":           {`"content":"a","message_reference":{"message_id":"9"}`, 50035},
		"a file that is not there":       {`"content":"a","attachments":[{"id":"0"}]`, 50035},
		"an alt text of 1025":            {`"content":"a","attachments":[{"id":"0","description":"` + long(1025) + `"}]`, 50035},
		"a content that is a number":     {`"content":1`, 50035},
		"what is just within the limits": {`"content":"` + long(2000) + `","embeds":[{"title":"` + long(256) + `","description":"` + long(4096) + `"},{"description":"` + long(1648) + `"}]`, 0},
		"an answer that may be to none":  {`"content":"a","message_reference":{"message_id":"9","fail_if_not_exists":false}`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newCaller(t)
			status, code, v := p.json("POST", "/channels/1/messages", "{"+quietly+","+c.body+"}")
			if code != c.code || (status == 200) != (c.code == 0) {
				t.Errorf("answered %d: %v, want code %d", status, v, c.code)
			}
			if n := len(p.s.Shown("1")); (n == 1) != (c.code == 0) {
				t.Errorf("%d messages are shown", n)
			}
		})
	}
}

func TestWhereItIsRefused(t *testing.T) {
	t.Parallel()
	const hello = `{"content":"a",` + quietly + `}`
	p := newCaller(t)
	for _, c := range []Channel{{ID: "2", Hidden: true}, {ID: "3", ReadOnly: true}, {ID: "4", Type: ForumChannel}, {ID: "5", Type: PublicThread, Parent: "1", Locked: true},
		{ID: "6", Type: PublicThread, Parent: "1", Locked: true, Archived: true}, {ID: "7", Type: PublicThread, Parent: "1", Archived: true}} {
		p.s.AddChannel(c)
	}
	for channel, want := range map[string][2]int{"99": {404, 10003}, "2": {403, 50001}, "3": {403, 50013}, "4": {400, 50008}, "5": {403, 160005}, "6": {400, 50083}, "7": {200, 0}} {
		if status, code, _ := p.json("POST", "/channels/"+channel+"/messages", hello); status != want[0] || code != want[1] {
			t.Errorf("channel %s: %d, %d, want %v", channel, status, code, want)
		}
	}
	id := p.s.Say("1", Person{ID: "8"}, "mine")
	if status, code, _ := p.json("PATCH", "/channels/1/messages/"+id, hello); status != 403 || code != 50005 {
		t.Errorf("another's message: %d, %d", status, code)
	}
	for i, want := range []int{0, 160004} {
		if _, code, _ := p.json("POST", "/channels/1/messages/"+id+"/threads", `{"name":"a","auto_archive_duration":1440}`); code != want {
			t.Errorf("thread %d: %d, want %d", i, code, want)
		}
	}
	if _, code, _ := p.json("POST", "/channels/1/messages/"+id+"0/threads", `{"name":"a"}`); code != 10008 {
		t.Errorf("thread under nothing: %d", code)
	}
	if status, _, _ := p.do("GET", "/users/@me", "", nil, func(q *http.Request) { q.Header.Set("Authorization", "Bot wrong") }); status != 401 {
		t.Errorf("a wrong token: %d", status)
	}
	if b := p.s.Breaches(); len(b) > 0 {
		t.Errorf("breaches: %v", b)
	}
}

func TestBreachesAreNoted(t *testing.T) {
	t.Parallel()
	p := newCaller(t)
	p.json("POST", "/channels/1/messages", `{"content":"a"}`)
	p.json("POST", "/channels/1/messages", `{"content":"a","allowed_mentions":{"parse":["users"]}}`)
	p.json("POST", "/channels/1/messages", `{"content":"a","embeds":[{"image":{"url":"attachment://x.png"}}],`+quietly+`}`)
	if _, code, _ := p.do("GET", "/users/@me", "", nil, func(q *http.Request) { q.Header.Set("User-Agent", "curl") }); code != 40333 {
		t.Errorf("curl: %d", code)
	}
	p.s.UseCommand("1", Person{ID: "8"}, "why")
	p.s.Advance(4 * time.Second)
	if b := p.s.Breaches(); len(b) != 5 {
		t.Errorf("%d breaches, want 5: %q", len(b), b)
	}
}

func TestANonceIsEnforcedForAWhile(t *testing.T) {
	t.Parallel()
	p := newCaller(t)
	p.s.AddChannel(Channel{ID: "2"})
	post := func(channel, nonce string) string {
		_, _, v := p.json("POST", "/channels/"+channel+"/messages", `{"content":"a","enforce_nonce":true,"nonce":"`+nonce+`",`+quietly+`}`)
		return fmt.Sprint(v["id"])
	}
	first := post("1", "k")
	if again := post("2", "k"); again != first || len(p.s.Shown("2")) != 0 {
		t.Errorf("posted as %s, then %s", first, again)
	}
	if other := post("1", "k2"); other == first {
		t.Error("another nonce gave the same message")
	}
	p.s.Advance(10 * time.Minute)
	if late := post("1", "k"); late == first {
		t.Error("enforced for ever")
	}
}

func TestAPictureStaysUntilItIsTakenAway(t *testing.T) {
	t.Parallel()
	p := newCaller(t)
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	w.WriteField("payload_json", `{"embeds":[{"title":"a","image":{"url":"attachment://x.png"}}],"attachments":[{"id":"0","filename":"x.png","description":"alt"}],`+quietly+`}`)
	f, err := w.CreateFormFile("files[0]", "x.png")
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(f, "png")
	w.Close()
	_, _, v := p.do("POST", "/channels/1/messages", w.FormDataContentType(), b.Bytes())
	if m := p.s.Shown("1")[0]; string(m.Image) != "png" || m.Alt != "alt" {
		t.Errorf("shown: %+v", m)
	}
	path := fmt.Sprint("/channels/1/messages/", v["id"])
	p.json("PATCH", path, `{"content":"b",`+quietly+`}`)
	if m := p.s.Shown("1")[0]; string(m.Image) != "png" || m.Edits != 1 {
		t.Errorf("shown: %+v", m)
	}
	p.json("PATCH", path, `{"attachments":[],"embeds":[{"title":"a"}],`+quietly+`}`)
	if m := p.s.Shown("1")[0]; m.Image != nil {
		t.Errorf("shown: %+v", m)
	}
}

func TestInteractionsHaveTheirTimes(t *testing.T) {
	t.Parallel()
	p := newCaller(t)
	token := func(id string) string {
		p.s.mu.Lock()
		defer p.s.mu.Unlock()
		return p.s.interactions[id].token
	}
	const answer = `{"content":"a",` + quietly + `}`
	late := p.s.UseCommand("1", Person{ID: "8"}, "why")
	p.s.Advance(3100 * time.Millisecond)
	if _, code, _ := p.json("POST", "/interactions/"+late+"/"+token(late)+"/callback", `{"type":5}`); code != 10062 {
		t.Errorf("after 3.1 s: %d", code)
	}
	id := p.s.UseCommand("1", Person{ID: "8"}, "why")
	hook := "/webhooks/" + ApplicationID + "/" + token(id)
	if _, code, _ := p.json("PATCH", hook+"/messages/@original", answer); code != 10015 {
		t.Errorf("before it was acknowledged: %d", code)
	}
	for i, want := range []int{0, 40060} {
		if _, code, _ := p.json("POST", "/interactions/"+id+"/"+token(id)+"/callback", `{"type":5}`); code != want {
			t.Errorf("callback %d: %d", i, code)
		}
	}
	if m := p.s.Shown("1"); len(m) != 1 || !m[0].Waiting {
		t.Errorf("shown: %+v", m)
	}
	p.json("PATCH", hook+"/messages/@original", answer)
	p.json("POST", hook, answer)
	if m := p.s.Shown("1"); len(m) != 2 || m[0].Waiting || m[0].Text != "a" {
		t.Errorf("shown: %+v", m)
	}
	p.s.Advance(15 * time.Minute)
	if status, code, _ := p.json("POST", hook, answer); status != 401 || code != 50027 {
		t.Errorf("after 15 min: %d, %d", status, code)
	}
}

func TestLimitsAreCounted(t *testing.T) {
	t.Parallel()
	p := newCaller(t)
	p.s.Limit(true)
	var codes []int
	for range 6 {
		status, _, _ := p.json("POST", "/channels/1/messages", `{"content":"a",`+quietly+`}`)
		codes = append(codes, status)
	}
	if fmt.Sprint(codes) != "[200 200 200 200 200 429]" {
		t.Errorf("answered %v", codes)
	}
	p.s.Advance(5 * time.Second)
	if status, _, _ := p.json("POST", "/channels/1/messages", `{"content":"a",`+quietly+`}`); status != 200 {
		t.Errorf("after five seconds: %d", status)
	}
	var global map[string]any
	for i := range 60 {
		if status, _, v := p.do("GET", fmt.Sprint("/channels/", i+100), "", nil); status == 429 {
			global = v
		}
	}
	if global["global"] != true {
		t.Errorf("sixty requests in a second: %v", global)
	}
}

func TestFaultsComeAsOrdered(t *testing.T) {
	t.Parallel()
	p := newCaller(t)
	const hello = `{"content":"a",` + quietly + `}`
	for i, c := range []struct {
		fault  Fault
		status int
		shown  bool
	}{
		{Fault{}, 0, false},
		{Fault{Accepted: true}, 0, true},
		{Fault{Half: true}, 0, true},
		{Fault{Status: 502}, 502, false},
		{Fault{Status: 500, Accepted: true}, 500, true},
	} {
		before := len(p.s.Shown("1"))
		c.fault.Match = Writing
		p.s.Inject(c.fault)
		if status, _, _ := p.json("POST", "/channels/1/messages", hello); status != c.status {
			t.Errorf("fault %d: answered %d, want %d", i, status, c.status)
		}
		if shown := len(p.s.Shown("1")) > before; shown != c.shown {
			t.Errorf("fault %d: shown %t, want %t", i, shown, c.shown)
		}
	}
	p.s.Inject(Fault{Times: -1, Status: 500})
	p.s.Mend()
	if status, _, _ := p.json("POST", "/channels/1/messages", hello); status != 200 {
		t.Errorf("mended: %d", status)
	}
}

func TestMarkupIsSeenThrough(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]Rendered{
		`plain`:                         {Text: "plain"},
		`\*a\* \_b\_ \@everyone \<@1\>`: {Text: "*a* _b_ @everyone <@1>"},
		`**a** b`:                       {Text: "a b", Bold: []string{"a"}},
		`*a* _b_ ~~c~~ ||d|| __e__`:     {Text: "a b c d e", Wild: []string{"italic", "italic", "strike", "spoiler", "underline"}},
		`[a](https://x.example/1)`:      {Text: "a", Links: []Link{{"a", "https://x.example/1"}}},
		`[a](<https://x.example/1>) b`:  {Text: "a b", Links: []Link{{"a", "https://x.example/1"}}},
		`https://x.example/1 b`:         {Text: "https://x.example/1 b", Links: []Link{{"https://x.example/1", "https://x.example/1"}}},
		"```\na  b\nc\n```":             {Text: "a  b\nc", Mono: []string{"a  b\nc"}},
		"`a`":                           {Text: "a", Wild: []string{"code"}},
		"# a\n> b\n- c\n1. d\n-# e":     {Text: "a\nb\nc\nd\ne", Wild: []string{"line #", "line >", "line -", "line 1.", "line -#"}},
		`<@1> <#2> <t:3:R> @here`:       {Text: "<@1> <#2> <t:3:R> @here", Wild: []string{"mention <@1>", "mention <#2>", "mention <t:3:R>", "mention @here"}},
	} {
		got := Render(source, true)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%q is seen as %+v, want %+v", source, got, want)
		}
	}
}

func TestALinkReachesPastAnEscape(t *testing.T) {
	t.Parallel()
	got := Render(`[a](<https://good.example/>) b\](https://evil.example/)`, true)
	if len(got.Links) != 1 || got.Links[0].URL != "https://evil.example/" {
		t.Errorf("links are %+v; the clients' pattern is greedy", got.Links)
	}
}

func TestTheGatewayKeepsSessionsAndSendsWhatIsMissed(t *testing.T) {
	t.Parallel()
	p := newCaller(t)
	type packet struct {
		Op int             `json:"op"`
		T  string          `json:"t"`
		S  int64           `json:"s"`
		D  json.RawMessage `json:"d"`
	}
	open := func() *websocket.Conn {
		_, _, v := p.do("GET", "/gateway", "", nil)
		ws, _, err := websocket.DefaultDialer.Dial(fmt.Sprint(v["url"])+"?v=10&encoding=json", nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ws.Close() })
		return ws
	}
	read := func(ws *websocket.Conn, want string) packet {
		t.Helper()
		ws.SetReadDeadline(time.Now().Add(10 * time.Second))
		var k packet
		if err := ws.ReadJSON(&k); err != nil {
			t.Fatalf("waiting for %s: %v", want, err)
		}
		if got := fmt.Sprint(k.Op, k.T); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
		return k
	}
	identify := func(ws *websocket.Conn, token string, intents int) {
		ws.WriteJSON(map[string]any{"op": 2, "d": map[string]any{"token": token, "intents": intents, "properties": map[string]any{}}})
	}
	refused := func(ws *websocket.Conn, want int) {
		t.Helper()
		ws.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, _, err := ws.ReadMessage(); !websocket.IsCloseError(err, want) {
			t.Errorf("got %v, want close code %d", err, want)
		}
	}

	ws := open()
	read(ws, "10")
	identify(ws, "wrong", intentGuilds)
	refused(ws, 4004)
	ws = open()
	read(ws, "10")
	identify(ws, p.s.Token(), intentMessageContent)
	refused(ws, 4014)

	ws = open()
	read(ws, "10")
	identify(ws, p.s.Token(), intentGuilds|intentGuildMessages)
	var ready struct {
		Session string `json:"session_id"`
	}
	k := read(ws, "0READY")
	if err := json.Unmarshal(k.D, &ready); err != nil {
		t.Fatal(err)
	}
	read(ws, "0GUILD_CREATE")
	ws.WriteJSON(map[string]any{"op": 1, "d": 2})
	read(ws, "11")
	p.s.Say("1", Person{ID: "8"}, "to each other")
	p.s.Say("1", Person{ID: "8"}, "<@"+BotID+"> to the bot")
	for _, want := range []string{"", "<@" + BotID + "> to the bot"} {
		var m struct{ Content string }
		k = read(ws, "0MESSAGE_CREATE")
		if err := json.Unmarshal(k.D, &m); err != nil || m.Content != want {
			t.Errorf("content %q, want %q (%v)", m.Content, want, err)
		}
	}
	p.s.Drop()
	p.s.UseCommand("1", Person{ID: "8"}, "why")

	ws = open()
	read(ws, "10")
	ws.WriteJSON(map[string]any{"op": 6, "d": map[string]any{"token": p.s.Token(), "session_id": ready.Session, "seq": k.S}})
	read(ws, "0INTERACTION_CREATE")
	read(ws, "0RESUMED")
	p.s.Forget()
	ws = open()
	read(ws, "10")
	ws.WriteJSON(map[string]any{"op": 6, "d": map[string]any{"token": p.s.Token(), "session_id": ready.Session, "seq": k.S}})
	if k := read(ws, "9"); string(k.D) != "false" {
		t.Errorf("a session forgotten: %s", k.D)
	}
}
