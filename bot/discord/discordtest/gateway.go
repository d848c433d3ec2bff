package discordtest

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

// Gateway intents. https://discord.com/developers/docs/events/gateway#gateway-intents
const (
	intentGuilds         = 1 << 0
	intentGuildMembers   = 1 << 1
	intentPresences      = 1 << 8
	intentGuildMessages  = 1 << 9
	intentDirectMessages = 1 << 12
	intentMessageContent = 1 << 15

	intentsPrivileged = intentGuildMembers | intentPresences | intentMessageContent
)

// Greeting is how the gateway receives one connection.
type Greeting int

const (
	Proper          Greeting = iota
	Silent                   // accepts, and never says Hello
	ReconnectAtOnce          // op 7 in place of Hello
	ReconnectEarly           // op 7 in place of READY
	AckEarly                 // op 11 before READY
	HeartbeatEarly           // op 1 before READY
	Unavailable              // 503 in place of a WebSocket
)

// gateway is the WebSocket half of a Server. Its fields are guarded by the
// server's lock.
type gateway struct {
	url        string // "" for the server's own
	interval   time.Duration
	greetings  []Greeting
	refusal    int // close code in answer to Identify and Resume; 0 to accept
	zombie     bool
	sessions   map[string]*session
	conns      map[*conn]bool
	identifies int
	resumes    int
	opened     int
	shut       bool
	serving    sync.WaitGroup
}

// session outlives its connections, and keeps what a resume replays.
type session struct {
	id      string
	intents int
	seq     int64
	replay  []json.RawMessage // event n is number n+1
	conn    *conn             // nil while away
}

// conn is one WebSocket. A goroutine of its own writes, so that the server's
// lock is never held over a write.
type conn struct {
	ws   *websocket.Conn
	mu   sync.Mutex
	wake chan struct{}
	out  []func(*websocket.Conn) error
	over bool

	settled bool // guarded by the server's lock
}

func (g *gateway) init() {
	g.interval = 41250 * time.Millisecond
	g.sessions = map[string]*session{}
	g.conns = map[*conn]bool{}
}

// shut ends every connection, refuses new ones, and waits.
func (s *Server) shut() {
	s.mu.Lock()
	s.gateway.shut = true
	for c := range s.gateway.conns {
		c.ws.Close()
	}
	s.mu.Unlock()
	s.gateway.serving.Wait()
}

func (s *Server) gatewayURL() string {
	if s.gateway.url != "" {
		return s.gateway.url
	}
	return "ws" + strings.TrimPrefix(s.http.URL, "http")
}

// GatewayAt names another address for the gateway, such as a proxy's.
func (s *Server) GatewayAt(url string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gateway.url = url
}

// HeartbeatEvery sets the interval that Hello names from now on.
func (s *Server) HeartbeatEvery(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gateway.interval = d
}

// Greet sets how the next connections are received, one each; those after them
// properly.
func (s *Server) Greet(g ...Greeting) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gateway.greetings = append(s.gateway.greetings, g...)
}

// Refuse closes with code whoever identifies or resumes from now on; 0 accepts
// again.
func (s *Server) Refuse(code int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gateway.refusal = code
}

// Zombie leaves heartbeats without an answer and sends no events, as a
// connection does whose other end is gone, until it is turned off.
func (s *Server) Zombie(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gateway.zombie = on
}

// Reconnect sends op 7 to every connection.
func (s *Server) Reconnect() {
	s.each(func(c *conn) { c.send(map[string]any{"op": 7, "d": nil, "s": nil, "t": nil}) })
}

// Invalidate sends op 9. If the sessions cannot be resumed they are forgotten.
func (s *Server) Invalidate(resumable bool) {
	s.each(func(c *conn) { c.send(map[string]any{"op": 9, "d": resumable, "s": nil, "t": nil}) })
	if !resumable {
		s.Forget()
	}
}

// Forget ends every session: who resumes is told to identify.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gateway.sessions = map[string]*session{}
}

// CloseWith closes every connection with a code.
func (s *Server) CloseWith(code int) { s.each(func(c *conn) { c.close(code, "") }) }

// Drop cuts every connection without a word.
func (s *Server) Drop() {
	s.each(func(c *conn) {
		for _, n := range s.gateway.sessions {
			if n.conn == c {
				n.conn = nil
			}
		}
		c.ws.Close()
	})
}

// SendRaw sends a text frame of one's own making to every connection.
func (s *Server) SendRaw(text string) {
	s.each(func(c *conn) {
		c.push(func(ws *websocket.Conn) error { return ws.WriteMessage(websocket.TextMessage, []byte(text)) })
	})
}

// Repeat sends the last event of every session once more, as Discord says may
// happen.
func (s *Server) Repeat() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.gateway.sessions {
		if n.conn != nil && len(n.replay) > 0 {
			n.conn.send(n.replay[len(n.replay)-1])
		}
	}
}

func (s *Server) each(f func(*conn)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.gateway.conns {
		f(c)
	}
}

// Sessions counts what happened at the gateway.
type Sessions struct {
	Opened     int // WebSockets accepted or refused
	Identifies int
	Resumes    int
	Live       int // sessions connected now, whose client has taken READY or RESUMED in and sent a heartbeat since
}

// Sessions says what happened at the gateway so far.
func (s *Server) Sessions() Sessions {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := Sessions{Opened: s.gateway.opened, Identifies: s.gateway.identifies, Resumes: s.gateway.resumes}
	for _, x := range s.gateway.sessions {
		if x.conn != nil && x.conn.settled {
			n.Live++
		}
	}
	return n
}

// dispatch sends an event to every session that has the intent (0 for all),
// and keeps it for those that come back.
func (s *Server) dispatch(kind string, d any, intent int) {
	for _, n := range s.gateway.sessions {
		if intent == 0 || n.intents&intent != 0 {
			s.emit(n, kind, d)
		}
	}
}

func (s *Server) emit(n *session, kind string, d any) {
	n.seq++
	b, err := json.Marshal(map[string]any{"op": 0, "t": kind, "s": n.seq, "d": d})
	if err != nil {
		panic(err) // maps and raw JSON only
	}
	n.replay = append(n.replay, b)
	if n.conn != nil && !s.gateway.zombie {
		n.conn.send(json.RawMessage(b))
	}
}

func (s *Server) serveGateway(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	greeting := Proper
	if len(s.gateway.greetings) > 0 {
		greeting, s.gateway.greetings = s.gateway.greetings[0], s.gateway.greetings[1:]
	}
	s.gateway.opened++
	interval := s.gateway.interval
	if q := r.URL.Query(); q.Get("encoding") != "json" || q.Get("v") == "" {
		s.breach("gateway opened with %q", r.URL.RawQuery)
	}
	s.mu.Unlock()
	if greeting == Unavailable {
		http.Error(w, "upstream connect error", http.StatusServiceUnavailable)
		return
	}
	up := websocket.Upgrader{}
	ws, err := up.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	c := &conn{ws: ws, wake: make(chan struct{}, 1)}
	s.mu.Lock()
	if s.gateway.shut {
		s.mu.Unlock()
		ws.Close()
		return
	}
	s.gateway.conns[c] = true
	s.gateway.serving.Add(2)
	s.mu.Unlock()
	go func() {
		defer s.gateway.serving.Done()
		c.write()
	}()
	defer func() {
		s.mu.Lock()
		delete(s.gateway.conns, c)
		for _, n := range s.gateway.sessions {
			if n.conn == c {
				n.conn = nil
			}
		}
		s.mu.Unlock()
		c.finish()
		ws.Close()
		s.gateway.serving.Done()
	}()
	switch greeting {
	case Silent:
	case ReconnectAtOnce:
		c.send(map[string]any{"op": 7, "d": nil, "s": nil, "t": nil})
	default:
		c.send(map[string]any{"op": 10, "d": map[string]any{"heartbeat_interval": interval.Milliseconds(), "_trace": []string{"[\"fake\"]"}}, "s": nil, "t": nil})
	}
	for {
		var p struct {
			Op int             `json:"op"`
			D  json.RawMessage `json:"d"`
		}
		kind, raw, err := ws.ReadMessage()
		if err != nil {
			return
		}
		if len(raw) > 4096 || kind != websocket.TextMessage {
			c.close(4002, "Error while decoding payload.")
			continue
		}
		if json.Unmarshal(raw, &p) != nil {
			c.close(4002, "Error while decoding payload.")
			continue
		}
		s.mu.Lock()
		s.receive(c, greeting, p.Op, p.D)
		s.mu.Unlock()
	}
}

// receive handles what a client sends. The lock is held.
func (s *Server) receive(c *conn, greeting Greeting, op int, d json.RawMessage) {
	early := func() bool {
		switch greeting {
		case ReconnectEarly:
			c.send(map[string]any{"op": 7, "d": nil, "s": nil, "t": nil})
			return true
		case AckEarly:
			c.send(map[string]any{"op": 11, "d": nil, "s": nil, "t": nil})
		case HeartbeatEarly:
			c.send(map[string]any{"op": 1, "d": nil, "s": nil, "t": nil})
		}
		return false
	}
	switch op {
	case 1:
		for _, n := range s.gateway.sessions {
			c.settled = c.settled || n.conn == c
		}
		if !s.gateway.zombie {
			c.send(map[string]any{"op": 11, "d": nil, "s": nil, "t": nil})
		}
	case 2:
		var identify struct {
			Token      string         `json:"token"`
			Intents    *int           `json:"intents"`
			Properties map[string]any `json:"properties"`
		}
		s.gateway.identifies++
		if json.Unmarshal(d, &identify) != nil || identify.Intents == nil {
			c.close(4002, "Error while decoding payload.")
			return
		}
		switch {
		case s.gateway.refusal != 0:
			c.close(s.gateway.refusal, "")
			return
		case identify.Token != "Bot "+s.token && identify.Token != s.token, s.revoked:
			c.close(4004, "Authentication failed.")
			return
		case *identify.Intents&intentsPrivileged != 0:
			c.close(4014, "Disallowed intent(s).")
			return
		}
		if early() {
			return
		}
		n := &session{id: chokepoint.ShortHash(32, s.snowflake()), intents: *identify.Intents, conn: c}
		s.gateway.sessions[n.id] = n
		guilds := []any{}
		for id := range s.guilds {
			guilds = append(guilds, map[string]any{"id": id, "unavailable": true})
		}
		s.emit(n, "READY", map[string]any{"v": 10, "user": botUser(), "guilds": guilds, "session_id": n.id, "resume_gateway_url": s.gatewayURL(),
			"application": map[string]any{"id": ApplicationID, "flags": 0}, "shard": []int{0, 1}})
		if n.intents&intentGuilds != 0 {
			for id, g := range s.guilds {
				channels := []any{}
				threads := []any{}
				for _, c := range s.channels {
					switch {
					case c.Guild != id || c.Hidden:
					case c.Parent != "":
						threads = append(threads, c.json())
					default:
						channels = append(channels, c.json())
					}
				}
				s.emit(n, "GUILD_CREATE", map[string]any{"id": id, "name": g.Name, "owner_id": g.Owner, "channels": channels, "threads": threads,
					"roles": []any{}, "members": []any{}, "emojis": []any{}, "large": false, "member_count": len(g.Members)})
			}
		}
	case 6:
		var resume struct {
			Token   string `json:"token"`
			Session string `json:"session_id"`
			Seq     int64  `json:"seq"`
		}
		s.gateway.resumes++
		if json.Unmarshal(d, &resume) != nil {
			c.close(4002, "Error while decoding payload.")
			return
		}
		if s.gateway.refusal != 0 {
			c.close(s.gateway.refusal, "")
			return
		}
		if early() {
			return
		}
		n := s.gateway.sessions[resume.Session]
		if n == nil || resume.Seq > n.seq {
			c.send(map[string]any{"op": 9, "d": false, "s": nil, "t": nil})
			return
		}
		n.conn = c
		for _, missed := range n.replay[resume.Seq:] {
			c.send(missed)
		}
		s.emit(n, "RESUMED", map[string]any{"_trace": []string{}})
	default:
		c.close(4001, "Unknown opcode.")
	}
}

func (c *conn) push(f func(*websocket.Conn) error) {
	c.mu.Lock()
	c.out = append(c.out, f)
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *conn) send(v any) {
	c.push(func(ws *websocket.Conn) error { return ws.WriteJSON(v) })
}

func (c *conn) close(code int, why string) {
	c.push(func(ws *websocket.Conn) error {
		ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, why), time.Now().Add(time.Second))
		return ws.Close()
	})
}

func (c *conn) finish() {
	c.mu.Lock()
	c.over = true
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *conn) write() {
	for range c.wake {
		c.mu.Lock()
		out, over := c.out, c.over
		c.out = nil
		c.mu.Unlock()
		for _, f := range out {
			if f(c.ws) != nil {
				return
			}
		}
		if over {
			return
		}
	}
}
