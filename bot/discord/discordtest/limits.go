package discordtest

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

// window counts the requests of one bucket.
type window struct {
	used  int
	until time.Time
}

func (s *Server) window(key string, span time.Duration) *window {
	w := s.windows[key]
	if now := s.now(); w == nil || !now.Before(w.until) {
		w = &window{until: now.Add(span)}
		s.windows[key] = w
	}
	return w
}

// limited counts a request, writes the headers of its bucket, and refuses it
// if it is one too many.
// https://discord.com/developers/docs/topics/rate-limits
func (s *Server) limited(w http.ResponseWriter, q *request, p []string) bool {
	exempt := p[0] == "interactions" || p[0] == "webhooks"
	if s.strict && !exempt {
		all := s.window("global", time.Second)
		if all.used++; all.used > 50 {
			s.tooMany(w, all, true)
			return true
		}
	}
	route, top, limit, span := q.Method+" "+p[0], "", 10, 10*time.Second
	if len(p) > 1 {
		top = p[1]
	}
	if p[0] == "channels" && len(p) > 2 {
		route, limit, span = fmt.Sprintf("%s channels/%s/%d", q.Method, p[2], len(p)), 5, 5*time.Second
	}
	if !s.strict {
		limit = 100000
	}
	bucket := s.window(route+" "+top, span)
	bucket.used++
	remaining := limit - bucket.used
	h := w.Header()
	h.Set("X-RateLimit-Bucket", chokepoint.ShortHash(32, route))
	h.Set("X-RateLimit-Limit", strconv.Itoa(limit))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(max(0, remaining)))
	h.Set("X-RateLimit-Reset", strconv.FormatFloat(float64(bucket.until.UnixMilli())/1000, 'f', 3, 64))
	h.Set("X-RateLimit-Reset-After", strconv.FormatFloat(bucket.until.Sub(s.now()).Seconds(), 'f', 3, 64))
	if remaining < 0 {
		s.tooMany(w, bucket, false)
		return true
	}
	return false
}

func (s *Server) tooMany(w http.ResponseWriter, b *window, global bool) {
	wait := b.until.Sub(s.now())
	h := w.Header()
	h.Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	if global {
		h.Set("X-RateLimit-Global", "true")
		h.Set("X-RateLimit-Scope", "global")
	} else {
		h.Set("X-RateLimit-Scope", "user")
	}
	writeJSON(w, 429, map[string]any{"message": "You are being rate limited.", "retry_after": math.Round(wait.Seconds()*1000) / 1000, "global": global})
}
