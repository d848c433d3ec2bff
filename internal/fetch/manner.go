package fetch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

// Manner is how a host wants to be asked.
type Manner struct {
	Agent string        // with {version}, {contact} and {homepage}
	Gap   time.Duration // from the start of one request to the start of the next
	Pause time.Duration // of silence after a refusal; doubles up to maxPause while refusals go on

	// NeedsContact says that the host refuses whoever gives no e-mail address
	// in the agent, and is not asked without.
	NeedsContact bool
}

const maxPause = 6 * time.Hour

// Manners are the built-in ones, by host or parent domain. The hosts
// contradict each other:
//   - sec.gov wants a product and an e-mail address and nothing else, at most
//     ten requests a second from all machines, and after a refusal ten minutes
//     of silence that start anew with every request.
//     https://www.sec.gov/os/accessing-edgar-data
//   - Yahoo answers 429 to agents that do not begin with Mozilla/5.0.
//   - FRED drops the connection of those that do.
//   - Nasdaq's API hangs unless the agent looks like a browser's.
//   - GDELT allows one request in five seconds, and refuses at exactly five.
func Manners() map[string]Manner {
	const minute = time.Minute
	return map[string]Manner{
		"default":              {Agent: "chokepoint/{version} (+{homepage}; {contact})", Gap: time.Second, Pause: 15 * minute},
		"sec.gov":              {Agent: "chokepoint/{version} {contact}", Gap: 150 * time.Millisecond, Pause: 11 * minute, NeedsContact: true},
		"finance.yahoo.com":    {Agent: "Mozilla/5.0 (compatible; chokepoint/{version})", Gap: time.Second, Pause: 15 * minute},
		"api.nasdaq.com":       {Agent: "Mozilla/5.0 (compatible; chokepoint/{version})", Gap: time.Second, Pause: 15 * minute},
		"fred.stlouisfed.org":  {Agent: "chokepoint/{version} (+{homepage})", Gap: time.Second, Pause: 15 * minute},
		"api.gdeltproject.org": {Agent: "chokepoint/{version} (+{homepage}; {contact})", Gap: 6500 * time.Millisecond, Pause: 15 * minute},
		"mis.twse.com.tw":      {Agent: "chokepoint/{version} (+{homepage}; {contact})", Gap: 5 * time.Second, Pause: 15 * minute},
	}
}

// manners are the built-in ones with agents replaced. A host that only has an
// agent keeps the pace of its parent domain.
func manners(agents map[string]string) map[string]Manner {
	builtin := Manners()
	table := maps.Clone(builtin)
	for host, agent := range agents {
		host = strings.ToLower(host)
		_, m := find(builtin, host)
		m.Agent = agent
		table[host] = m
	}
	return table
}

// find is the entry of host or of its nearest parent domain, and its key.
func find(table map[string]Manner, host string) (string, Manner) {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	for at := host; at != ""; {
		if m, ok := table[at]; ok {
			return at, m
		}
		_, at, _ = strings.Cut(at, ".")
	}
	return "default", table["default"]
}

// agent is the User-Agent for host. An error says what must be configured.
func (c *Client) agent(host string) (string, error) {
	_, m := find(c.manners, host)
	agent := expand(m.Agent, c.cfg)
	if m.NeedsContact && !strings.Contains(agent, "@") {
		return "", fmt.Errorf("%s is not asked without an e-mail address in the user agent: set contact in the configuration", host)
	}
	return agent, nil
}

// expand fills an agent in, and leaves out the contact with its separator if
// there is none.
func expand(agent string, cfg Config) string {
	if cfg.Contact == "" {
		agent = strings.NewReplacer("; {contact}", "", " {contact}", "", "{contact}", "").Replace(agent)
	}
	return strings.NewReplacer("{version}", cfg.Version, "{contact}", cfg.Contact, "{homepage}", cfg.Homepage).Replace(agent)
}

// lane is the lane of a request: hosts under one entry of the table share one,
// as data.sec.gov and www.sec.gov share one allowance.
func (c *Client) lane(as string, u *url.URL) *lane {
	key, m := find(c.manners, as)
	if key == "default" {
		key = as
	}
	if loopback(u.Hostname()) {
		// A mirror on this machine is no burden to anyone, and paces itself.
		key, m.Gap = key+" at "+u.Host, 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.lanes[key]
	if l == nil {
		l = newLane(m.Gap, m.Pause)
		c.lanes[key] = l
	}
	return l
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// lane is where requests to one host wait for their turn.
type lane struct {
	gap, pause time.Duration
	turn       chan struct{} // holds one token; the rest belongs to whoever took it

	next    time.Time // of the next request, at the earliest
	shut    time.Time // closed before this
	class   chokepoint.Class
	strikes int // refusals in a row
}

func newLane(gap, pause time.Duration) *lane {
	l := &lane{gap: gap, pause: pause, turn: make(chan struct{}, 1)}
	l.turn <- struct{}{}
	return l
}

// enter waits for the turn. Without an error it must be followed by leave. An
// *Error says that the lane is closed, any other that ctx ended.
func (l *lane) enter(ctx context.Context) error {
	select {
	case <-l.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	if wait := time.Until(l.shut); wait > 0 {
		class := l.class
		l.turn <- struct{}{}
		return &Error{Class: class, Wait: wait, Err: fmt.Errorf("not asked for another %s after it refused", wait.Round(time.Second))}
	}
	timer := time.NewTimer(time.Until(l.next))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		l.turn <- struct{}{}
		return ctx.Err()
	}
	l.next = time.Now().Add(l.gap)
	return nil
}

// leave gives the turn back. A refusal closes the lane, and e learns for how
// long.
func (l *lane) leave(e *Error) {
	defer func() { l.turn <- struct{}{} }()
	switch {
	case e == nil:
		l.strikes = 0
		return
	case errors.Is(e.Err, context.Canceled):
		return
	case e.Class == chokepoint.RateLimited, e.Class == chokepoint.Blocked && e.Status != http.StatusUnauthorized:
		if e.Wait == 0 {
			e.Wait = min(l.pause<<min(l.strikes, 16), maxPause)
		}
		l.strikes++
	case e.Wait == 0:
		return
	}
	l.class, l.shut = e.Class, time.Now().Add(e.Wait)
}

// retryAfter reads the header: seconds or a date. Zero if there is none to
// read or it has passed; at most maxPause.
// https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
func retryAfter(value string, now time.Time) time.Duration {
	if value == "" {
		return 0
	}
	if n, err := strconv.ParseUint(value, 10, 64); err == nil {
		return time.Duration(min(n, uint64(maxPause/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(max(at.Sub(now), 0), maxPause)
	}
	return 0
}
