// Package discordtest is a Discord of one's own on loopback. It speaks REST
// and gateway as Discord does, keeps state, refuses what Discord refuses, can
// be told to fail, and records what a person would see in each channel.
//
// The rules are those of Discord's developer documentation (API v10) as of
// 2026; where a number is not published, the one that bots commonly meet is
// used, and named as such.
package discordtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The bot's own account.
const (
	BotID         = "200000000000000001"
	BotName       = "chokepoint"
	ApplicationID = "200000000000000002"
)

// Permission bits. https://discord.com/developers/docs/topics/permissions
const (
	Administrator = 1 << 3
	ManageGuild   = 1 << 5
	ViewChannel   = 1 << 10
	SendMessages  = 1 << 11
)

// Channel types.
const (
	TextChannel  = 0
	DirectChat   = 1
	PublicThread = 11
	ForumChannel = 15
)

// Channel is a place where messages are. The bot may do there what is not
// denied.
type Channel struct {
	ID     string
	Guild  string // "" for a direct chat
	Parent string // of a thread
	Name   string
	Type   int

	Hidden    bool // the bot cannot see it: 50001
	ReadOnly  bool // the bot may not write: 50013
	NoThreads bool // the bot may not open threads: 50013
	NoHistory bool // the bot may not read back, and so not answer a message: 160002
	Archived  bool // a thread at rest; writing wakes it, editing is refused
	Locked    bool // a thread that only moderators may write in
}

// Guild is a server of people.
type Guild struct {
	ID      string
	Name    string
	Owner   string
	Roles   map[string]int64    // permission bits by role; the role with the guild's own ID is everyone's
	Members map[string][]string // roles by user
}

// Server is the fake. Its methods may be called concurrently.
type Server struct {
	http  *httptest.Server
	token string

	mu           sync.Mutex
	ahead        time.Duration
	last         uint64 // snowflake
	past         uint64 // snowflakes of the past
	guilds       map[string]*Guild
	channels     map[string]*Channel
	messages     map[string][]*message // by channel, in order of posting
	nonces       map[string]nonceUse
	nonceWindow  time.Duration
	interactions map[string]*interaction // by ID
	tokens       map[string]*interaction // by token
	commands     []json.RawMessage
	overwrites   int
	faults       []*Fault
	requests     []Request
	breaches     []string
	strict       bool
	banned       bool
	revoked      bool
	windows      map[string]*window
	invalid      []time.Time

	gateway gateway
}

type nonceUse struct {
	message *message
	at      time.Time
}

// Request is one REST request that arrived, and how it was answered.
type Request struct {
	Method string
	Path   string // after the version, such as "/channels/1/messages"
	Query  string
	Body   json.RawMessage // payload_json of a multipart one; nil for none
	Files  int
	Status int // 0 if it was left without an answer
}

// New starts a server with a guild "1000" of nobody in particular, and no
// channels.
func New() *Server {
	s := &Server{
		token:        "fake.discord.token",
		guilds:       map[string]*Guild{},
		channels:     map[string]*Channel{},
		messages:     map[string][]*message{},
		nonces:       map[string]nonceUse{},
		nonceWindow:  3 * time.Minute,
		interactions: map[string]*interaction{},
		tokens:       map[string]*interaction{},
		windows:      map[string]*window{},
	}
	s.gateway.init()
	s.AddGuild(Guild{ID: "1000", Name: "Photonics", Owner: "9000"})
	s.http = httptest.NewServer(http.HandlerFunc(s.serve))
	return s
}

// Close ends every connection and waits for what is being served.
func (s *Server) Close() {
	s.shut()
	s.http.CloseClientConnections()
	s.http.Close()
}

// URL is the base of the REST interface, version included.
func (s *Server) URL() string { return s.http.URL + "/api/v10" }

// Token is the one token that is accepted.
func (s *Server) Token() string { return s.token }

// Refusal is the body of an error as Discord sends it.
func Refusal(code int, message string) string {
	b, err := json.Marshal(map[string]any{"code": code, "message": message})
	if err != nil {
		panic(err) // a number and a string
	}
	return string(b)
}

// Now is the server's time: the machine's, and what it was advanced by.
func (s *Server) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now()
}

func (s *Server) now() time.Time { return time.Now().Add(s.ahead) }

// Advance moves the server's time on, for all that ages: nonces, interactions,
// rate limits.
func (s *Server) Advance(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ahead += d
}

// Limit makes the server count requests and refuse too many: five messages in
// five seconds and channel, as bots commonly meet, and 50 requests a second in
// all. Without it the limits are out of reach.
func (s *Server) Limit(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.strict = on
}

// Ban answers everything as Cloudflare does to an address that made 10,000
// invalid requests in ten minutes: 429 with a page of HTML.
func (s *Server) Ban(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.banned = on
}

// Revoke makes the token invalid from now on, or valid again.
func (s *Server) Revoke(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revoked = on
}

// AddGuild adds or replaces a guild.
func (s *Server) AddGuild(g Guild) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g.Roles == nil {
		g.Roles = map[string]int64{}
	}
	if _, ok := g.Roles[g.ID]; !ok {
		g.Roles[g.ID] = ViewChannel | SendMessages
	}
	if g.Members == nil {
		g.Members = map[string][]string{}
	}
	s.guilds[g.ID] = &g
}

// AddChannel adds or replaces a channel or thread. One that is not a direct
// chat and names no guild is put into "1000".
func (s *Server) AddChannel(c Channel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.Guild == "" && c.Type != DirectChat {
		c.Guild = "1000"
	}
	s.channels[c.ID] = &c
}

// SetAdmin gives a person a role that may manage the channel's guild, or takes
// all roles away.
func (s *Server) SetAdmin(channel, user string, on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.channels[channel]
	if c == nil || s.guilds[c.Guild] == nil {
		return
	}
	g := s.guilds[c.Guild]
	g.Roles["501"] = ManageGuild
	g.Members[user] = nil
	if on {
		g.Members[user] = []string{"501"}
	}
}

// Alter changes a channel in place.
func (s *Server) Alter(id string, f func(*Channel)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.channels[id]; c != nil {
		f(c)
	}
}

// DeleteChannel removes a channel or thread with what was said in it.
func (s *Server) DeleteChannel(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.channels, id)
	delete(s.messages, id)
}

// Requests are all so far, in order of arrival.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Invalid is the most answers of 401, 403 and 429 that fell into any ten
// minutes. 10,000 ban an address.
func (s *Server) Invalid() (most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, from := range s.invalid {
		n := 0
		for _, at := range s.invalid[i:] {
			if at.Sub(from) < 10*time.Minute {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// Breaches are what the client did that Discord lets pass or punishes later,
// and that we never want: a message that could mention people, a missing
// User-Agent, an interaction left without an answer for three seconds.
func (s *Server) Breaches() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := slices.Clone(s.breaches)
	for _, i := range s.interactions {
		if !i.acked && !i.old && s.now().Sub(i.made) > ackWithin {
			all = append(all, "interaction "+i.id+" was not acknowledged within 3 s")
		}
	}
	slices.Sort(all)
	return all
}

func (s *Server) breach(format string, a ...any) {
	s.breaches = append(s.breaches, fmt.Sprintf(format, a...))
}

// Fault is what goes wrong with a request. The zero Fault leaves the next
// request without an answer.
type Fault struct {
	Match    func(Request) bool // nil for any
	Times    int                // how often; 0 is once, -1 for ever
	Accepted bool               // the request takes its effect first
	Status   int                // answer this, with Header and Body
	Header   http.Header
	Body     string
	Half     bool          // break off in the middle of the right answer
	Hang     bool          // say nothing until the client gives up
	Reached  chan struct{} // closed when the first request is there; nil for none
}

var writes = regexp.MustCompile(`^/channels/[^/]+/messages(/[^/]+)?$|^/webhooks/[^/]+/[^/]+(/messages/@original)?$`)

// Writing matches what posts or changes a message.
func Writing(q Request) bool {
	return (q.Method == "POST" || q.Method == "PATCH") && writes.MatchString(q.Path)
}

// Inject makes the next requests that match fail. Faults are tried in the
// order in which they were injected.
func (s *Server) Inject(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.Times == 0 {
		f.Times = 1
	}
	s.faults = append(s.faults, &f)
}

// Mend takes back every fault not yet used up.
func (s *Server) Mend() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

func (s *Server) fault(q Request) *Fault {
	for i, f := range s.faults {
		if f.Match != nil && !f.Match(q) {
			continue
		}
		if f.Reached != nil {
			close(f.Reached)
			f.Reached = nil
		}
		if f.Times > 0 {
			f.Times--
			if f.Times == 0 {
				s.faults = slices.Delete(s.faults, i, i+1)
			}
		}
		return f
	}
	return nil
}

// snowflake is a new ID; it holds the time of its making.
// https://discord.com/developers/docs/reference#snowflakes
func (s *Server) snowflake() string {
	n := uint64(s.now().UnixMilli()-1420070400000) << 22
	if n <= s.last {
		n = s.last + 1
	}
	s.last = n
	return strconv.FormatUint(n, 10)
}

// snowflakeAt is a new ID of a moment in the past; zero is now.
func (s *Server) snowflakeAt(t time.Time) string {
	if t.IsZero() {
		return s.snowflake()
	}
	s.past++
	return strconv.FormatUint(uint64(t.UnixMilli()-1420070400000)<<22+s.past, 10)
}

var versioned = regexp.MustCompile(`^/api(?:/v[0-9]+)?(/.*)$`)

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		s.serveGateway(w, r)
		return
	}
	m := versioned.FindStringSubmatch(r.URL.Path)
	if m == nil {
		http.NotFound(w, r)
		return
	}
	raw, err := io.ReadAll(io.LimitReader(r.Body, 30<<20))
	if err != nil {
		return
	}
	req := &request{Request: Request{Method: r.Method, Path: m[1], Query: r.URL.RawQuery}, http: r}
	req.refused = req.read(raw)
	s.mu.Lock()
	n := len(s.requests)
	s.requests = append(s.requests, req.Request)
	f := s.fault(req.Request)
	rec := httptest.NewRecorder()
	if f == nil || f.Accepted || f.Half {
		s.answer(rec, req)
	}
	if f != nil && f.Status != 0 {
		rec = httptest.NewRecorder()
		for k, v := range f.Header {
			rec.Header()[k] = v
		}
		rec.WriteHeader(f.Status)
		rec.Body.WriteString(f.Body)
	}
	if f == nil || f.Status != 0 {
		s.requests[n].Status = rec.Code
		if rec.Code == 401 || rec.Code == 403 || rec.Code == 429 {
			s.invalid = append(s.invalid, s.now())
		}
	}
	s.mu.Unlock()

	switch {
	case f != nil && f.Hang:
		<-r.Context().Done()
	case f != nil && f.Half:
		for k, v := range rec.Header() {
			w.Header()[k] = v
		}
		w.Header().Set("Content-Length", strconv.Itoa(rec.Body.Len()))
		w.WriteHeader(rec.Code)
		w.Write(rec.Body.Bytes()[:rec.Body.Len()/2])
		panic(http.ErrAbortHandler)
	case f != nil && f.Status == 0:
		panic(http.ErrAbortHandler)
	default:
		for k, v := range rec.Header() {
			w.Header()[k] = v
		}
		w.WriteHeader(rec.Code)
		w.Write(rec.Body.Bytes())
	}
}

// request is one being answered.
type request struct {
	Request
	http    *http.Request
	files   map[string]file // by the n of files[n]
	refused *refusal
}

type file struct {
	name string
	data []byte
}

func (q *request) read(raw []byte) *refusal {
	kind, params, _ := mime.ParseMediaType(q.http.Header.Get("Content-Type"))
	switch {
	case len(raw) == 0:
		return nil
	case kind == "application/json":
		q.Body = raw
	case kind == "multipart/form-data":
		if len(raw) > 25<<20 {
			return &refusal{413, 40005, "Request entity too large", ""}
		}
		q.files = map[string]file{}
		parts := multipart.NewReader(bytes.NewReader(raw), params["boundary"])
		for {
			p, err := parts.NextPart()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return &refusal{400, 50035, "Invalid Form Body", ""}
			}
			data, err := io.ReadAll(p)
			if err != nil {
				return &refusal{400, 50035, "Invalid Form Body", ""}
			}
			name := p.FormName()
			switch {
			case name == "payload_json":
				q.Body = data
			case strings.HasPrefix(name, "files[") && strings.HasSuffix(name, "]"):
				q.files[name[len("files["):len(name)-1]] = file{p.FileName(), data}
			}
		}
		q.Files = len(q.files)
	default:
		return &refusal{400, 50035, "Invalid Form Body", ""}
	}
	if !json.Valid(q.Body) {
		return &refusal{400, 50109, "The request body contains invalid JSON.", ""}
	}
	return nil
}

// refusal is an error as Discord words it.
// https://discord.com/developers/docs/topics/opcodes-and-status-codes#json
type refusal struct {
	status  int
	code    int
	message string
	field   string // path of the field that is wrong, with its code: "embeds.0.title: BASE_TYPE_MAX_LENGTH"
}

var (
	unknownChannel     = &refusal{404, 10003, "Unknown Channel", ""}
	unknownGuild       = &refusal{404, 10004, "Unknown Guild", ""}
	unknownMember      = &refusal{404, 10007, "Unknown Member", ""}
	unknownMessage     = &refusal{404, 10008, "Unknown Message", ""}
	unknownWebhook     = &refusal{404, 10015, "Unknown Webhook", ""}
	unknownInteraction = &refusal{404, 10062, "Unknown interaction", ""}
	missingAccess      = &refusal{403, 50001, "Missing Access", ""}
	missingPermissions = &refusal{403, 50013, "Missing Permissions", ""}
)

func invalidForm(field, code string) *refusal {
	return &refusal{400, 50035, "Invalid Form Body", field + ": " + code}
}

func (e *refusal) write(w http.ResponseWriter) {
	body := map[string]any{"message": e.message, "code": e.code}
	if e.field != "" {
		path, code, _ := strings.Cut(e.field, ": ")
		var tree any = map[string]any{"_errors": []any{map[string]any{"code": code, "message": code}}}
		steps := strings.Split(path, ".")
		for i := len(steps) - 1; i >= 0; i-- {
			tree = map[string]any{steps[i]: tree}
		}
		body["errors"] = tree
	}
	writeJSON(w, e.status, body)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	if v == nil {
		w.WriteHeader(status)
		return
	}
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // a mistake of ours: all that is written are maps and raw JSON
	}
	w.WriteHeader(status)
	w.Write(b)
}

// answer does what the request asks. The lock is held.
func (s *Server) answer(w http.ResponseWriter, q *request) {
	if s.banned {
		w.Header().Set("Content-Type", "text/html; charset=UTF-8")
		w.WriteHeader(429)
		io.WriteString(w, "<!DOCTYPE html><html><title>Access denied | discord.com used Cloudflare to restrict access</title>Error 1015</html>")
		return
	}
	if !strings.HasPrefix(q.http.UserAgent(), "DiscordBot (") {
		s.breach("%s %s without a User-Agent that begins with DiscordBot", q.Method, q.Path)
		(&refusal{403, 40333, "internal network error", ""}).write(w)
		return
	}
	steps := strings.Split(strings.Trim(q.Path, "/"), "/")
	open := steps[0] == "gateway" && len(steps) == 1 || steps[0] == "interactions" || steps[0] == "webhooks"
	if !open && (q.http.Header.Get("Authorization") != "Bot "+s.token || s.revoked) {
		(&refusal{401, 0, "401: Unauthorized", ""}).write(w)
		return
	}
	if s.limited(w, q, steps) {
		return
	}
	if q.refused != nil {
		q.refused.write(w)
		return
	}
	status, v, refused := s.route(q, steps)
	if refused != nil {
		refused.write(w)
		return
	}
	writeJSON(w, status, v)
}

func (s *Server) route(q *request, p []string) (int, any, *refusal) {
	is := func(method string, shape ...string) bool {
		if q.Method != method || len(p) != len(shape) {
			return false
		}
		for i, step := range shape {
			if step != "*" && step != p[i] {
				return false
			}
		}
		return true
	}
	switch {
	case is("GET", "gateway"):
		return 200, map[string]any{"url": s.gatewayURL()}, nil
	case is("GET", "gateway", "bot"):
		return 200, map[string]any{"url": s.gatewayURL(), "shards": 1, "session_start_limit": map[string]any{
			"total": 1000, "remaining": 1000 - s.gateway.identifies, "reset_after": 86400000, "max_concurrency": 1}}, nil
	case is("GET", "users", "@me"):
		return 200, botUser(), nil
	case is("GET", "applications", "@me"):
		return 200, map[string]any{"id": ApplicationID, "name": BotName}, nil
	case is("GET", "applications", "*", "commands"), is("PUT", "applications", "*", "commands"):
		if p[1] != ApplicationID {
			return 0, nil, &refusal{404, 10002, "Unknown Application", ""}
		}
		if q.Method == "PUT" {
			return s.overwrite(q)
		}
		return 200, s.listCommands(q.http.URL.Query().Get("with_localizations") == "true"), nil
	case is("GET", "guilds", "*"):
		return s.getGuild(p[1])
	case is("GET", "guilds", "*", "members", "*"):
		return s.getMember(p[1], p[3])
	case is("GET", "channels", "*"):
		c, refused := s.visible(p[1])
		if refused != nil {
			return 0, nil, refused
		}
		return 200, c.json(), nil
	case is("POST", "channels", "*", "messages"):
		return s.createMessage(q, p[1])
	case is("PATCH", "channels", "*", "messages", "*"):
		return s.editMessage(q, p[1], p[3])
	case is("DELETE", "channels", "*", "messages", "*"):
		return s.deleteMessage(p[1], p[3])
	case is("POST", "channels", "*", "messages", "*", "threads"):
		return s.createThread(q, p[1], p[3])
	case is("POST", "interactions", "*", "*", "callback"):
		return s.callback(q, p[1], p[2])
	case is("POST", "webhooks", "*", "*"):
		return s.followUp(q, p[2])
	case is("PATCH", "webhooks", "*", "*", "messages", "@original"):
		return s.editOriginal(q, p[2])
	case is("DELETE", "webhooks", "*", "*", "messages", "@original"):
		return s.deleteOriginal(p[2])
	}
	return 0, nil, &refusal{404, 0, "404: Not Found", ""}
}

func botUser() map[string]any {
	return map[string]any{"id": BotID, "username": BotName, "discriminator": "0000", "bot": true}
}

func (s *Server) getGuild(id string) (int, any, *refusal) {
	g := s.guilds[id]
	if g == nil {
		return 0, nil, unknownGuild
	}
	roles := []any{}
	for id, bits := range g.Roles {
		roles = append(roles, map[string]any{"id": id, "name": id, "permissions": strconv.FormatInt(bits, 10)})
	}
	return 200, map[string]any{"id": g.ID, "name": g.Name, "owner_id": g.Owner, "roles": roles}, nil
}

func (s *Server) getMember(guild, user string) (int, any, *refusal) {
	g := s.guilds[guild]
	if g == nil {
		return 0, nil, unknownGuild
	}
	roles, ok := g.Members[user]
	if !ok && user != g.Owner {
		return 0, nil, unknownMember
	}
	if roles == nil {
		roles = []string{}
	}
	return 200, map[string]any{"user": map[string]any{"id": user}, "roles": roles}, nil
}

// permissions is what a member may do, as interactions carry it.
func (g *Guild) permissions(user string) int64 {
	bits := g.Roles[g.ID]
	for _, r := range g.Members[user] {
		bits |= g.Roles[r]
	}
	if user == g.Owner {
		bits |= Administrator
	}
	return bits
}

// visible is a channel that the bot can see.
func (s *Server) visible(id string) (*Channel, *refusal) {
	c := s.channels[id]
	switch {
	case c == nil:
		return nil, unknownChannel
	case c.Hidden:
		return nil, missingAccess
	}
	return c, nil
}

func (c *Channel) json() map[string]any {
	m := map[string]any{"id": c.ID, "type": c.Type, "name": c.Name}
	if c.Guild != "" {
		m["guild_id"] = c.Guild
	}
	if c.Parent != "" {
		m["parent_id"] = c.Parent
		m["thread_metadata"] = map[string]any{"archived": c.Archived, "locked": c.Locked, "auto_archive_duration": 1440}
	}
	return m
}
