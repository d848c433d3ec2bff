package discord

import (
	"maps"
	"net/http"
	"strconv"
	"sync"
	"time"
)

const (
	// Discord bans an address for 10,000 answers of 401, 403 or 429 in ten
	// minutes. We stop far below.
	// https://discord.com/developers/docs/topics/rate-limits#invalid-request-limit-aka-cloudflare-bans
	invalidMost = 100
	invalidSpan = 10 * time.Minute

	// bucketsKept is how many buckets are remembered before those that have
	// refilled are dropped.
	bucketsKept = 1024
)

// pace remembers what Discord said of its rate limits, so that a request that
// would be refused is not made. Safe for concurrent use.
type pace struct {
	now func() time.Time

	mu      sync.Mutex
	names   map[string]string  // Discord's name of a bucket, by route
	buckets map[string]*bucket // by that name and top-level ID
	global  time.Time          // no request that counts before this
	banned  time.Time          // no request at all before this
	invalid []time.Time        // answers that count toward a ban, oldest first
	flying  int                // requests under way: each may become one
}

type bucket struct {
	left  int
	until time.Time // when it is full again
}

func newPace(now func() time.Time) *pace {
	return &pace{now: now, names: map[string]string{}, buckets: map[string]*bucket{}}
}

func (p *pace) key(q request) string {
	name := p.names[q.method+" "+q.route]
	if name == "" {
		name = q.method + " " + q.route
	}
	return name + " " + q.top
}

// admit takes a place for q, which learn gives back, or says how long there is
// none, whether for all requests, and why.
func (p *pace) admit(q request) (wait time.Duration, global bool, why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	for len(p.invalid) > 0 && now.Sub(p.invalid[0]) >= invalidSpan {
		p.invalid = p.invalid[1:]
	}
	b := p.buckets[p.key(q)]
	switch {
	case now.Before(p.banned):
		return p.banned.Sub(now), true, "the address is refused"
	case len(p.invalid) > 0 && len(p.invalid)+p.flying >= invalidMost-1:
		if p.flying > 0 {
			return time.Second, true, "too many requests may be refused"
		}
		return p.invalid[0].Add(invalidSpan).Sub(now), true, "too many requests were refused lately"
	case now.Before(p.global) && !q.exempt:
		return p.global.Sub(now), true, "the global limit is reached"
	case b == nil || !now.Before(b.until):
	case b.left <= 0:
		return b.until.Sub(now), false, "the limit of the route is reached"
	default:
		b.left--
	}
	p.flying++
	return 0, false, ""
}

// learn takes note of what an answer says. wait is that of a 429.
func (p *pace) learn(q request, x *exchange, wait time.Duration, global, banned bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.flying--
	if x.status == 0 {
		return
	}
	now := p.now()
	switch x.status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests:
		if x.header.Get("X-RateLimit-Scope") != "shared" {
			p.invalid = append(p.invalid, now)
		}
	}
	switch {
	case banned:
		p.banned = now.Add(wait)
		return
	case x.status == http.StatusTooManyRequests && global:
		p.global = now.Add(wait)
		return
	}
	if name := x.header.Get("X-RateLimit-Bucket"); name != "" {
		p.names[q.method+" "+q.route] = name
	}
	key := p.key(q)
	if x.status == http.StatusTooManyRequests {
		p.buckets[key] = &bucket{until: now.Add(wait)}
		return
	}
	left, err := strconv.Atoi(x.header.Get("X-RateLimit-Remaining"))
	if err != nil {
		return
	}
	after, err := strconv.ParseFloat(x.header.Get("X-RateLimit-Reset-After"), 64)
	if err != nil {
		return
	}
	// Answers to requests made side by side may come in any order: within a
	// window the count only falls.
	if b := p.buckets[key]; b != nil && now.Before(b.until) {
		left = min(left, b.left)
	}
	if len(p.buckets) >= bucketsKept {
		maps.DeleteFunc(p.buckets, func(_ string, b *bucket) bool { return !now.Before(b.until) })
	}
	p.buckets[key] = &bucket{left, now.Add(time.Duration(after * float64(time.Second)))}
}
