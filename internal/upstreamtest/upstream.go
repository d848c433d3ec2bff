// Package upstreamtest serves, on loopback, what the program asks the world
// for: feeds, SEC, TCEQ, Yahoo, Nasdaq and Finnhub. It keeps state, refuses what
// the real ones refuse, and can be told to fail. Acceptance tests and the
// demonstration run against it.
package upstreamtest

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Server is the world. The first part of a path names the host that it stands
// for: URL("data.sec.gov") is where the program finds data.sec.gov. Methods may
// be called concurrently.
type Server struct {
	srv  *http.Server
	base string
	done chan struct{}

	mu       sync.Mutex
	now      func() time.Time
	faults   map[string]Fault // by path prefix, such as "feeds/ir"
	requests []Request
	feeds    map[string]*Feed
	sec      *SEC
	permits  map[string]*Permits
	quotes   *Quotes
}

// Request is what was asked.
type Request struct {
	Path   string // with the host's name in front and the query behind: "data.sec.gov/submissions/…"
	Header http.Header
	Status int // of the answer
}

// Fault is how a part of the world fails. The zero Fault is none.
type Fault struct {
	Status     int           // answered instead, with Body
	Body       string        // "" is a short HTML page
	RetryAfter time.Duration // told with Status; zero is not told
	Mode       Mode
}

// Mode is how an answer goes wrong other than by its status.
type Mode uint8

const (
	Whole     Mode = iota // it does not
	Drop                  // the connection closes without an answer
	Truncate              // the answer ends half way
	Drip                  // one byte a second
	Bomb                  // gzip: 64 MiB of zeros from 64 KiB
	Challenge             // status 200 and a page that asks for a browser
	Empty                 // status 200 and nothing
	Private               // a redirect to a private address
)

// Failures that hosts are known for.
var (
	Refused      = Fault{Status: http.StatusForbidden}
	Busy         = Fault{Status: http.StatusTooManyRequests, Body: "Too Many Requests\r\n"}
	Missing      = Fault{Status: http.StatusNotFound}
	Down         = Fault{Status: http.StatusBadGateway}
	Dropped      = Fault{Mode: Drop}
	Truncated    = Fault{Mode: Truncate}
	Dripping     = Fault{Mode: Drip}
	Bombed       = Fault{Mode: Bomb}
	Challenged   = Fault{Mode: Challenge}
	Blank        = Fault{Mode: Empty}
	SentAway     = Fault{Mode: Private}
	RefusedBySEC = Fault{Status: http.StatusForbidden, Body: secThreshold}
)

// New starts a world. Close it.
func New() (*Server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("upstreamtest: listen: %w", err)
	}
	s := &Server{
		base: "http://" + l.Addr().String(), done: make(chan struct{}), now: time.Now,
		faults: map[string]Fault{}, feeds: map[string]*Feed{}, permits: map[string]*Permits{},
	}
	s.sec, s.quotes = newSEC(s), newQuotes(s)
	s.srv = &http.Server{Handler: s, ReadHeaderTimeout: 5 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	go func() {
		defer close(s.done)
		_ = s.srv.Serve(l) // returns once closed
	}()
	return s, nil
}

// TB is the part of testing.TB that Start needs.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// Start is a world for the length of a test.
func Start(t TB) *Server {
	t.Helper()
	s, err := New()
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(s.Close)
	return s
}

// Close ends the world, and answers under way with it.
func (s *Server) Close() {
	_ = s.srv.Close() // nothing is lost
	<-s.done
}

// SetNow gives the world another clock.
func (s *Server) SetNow(now func() time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = now
}

// URL is where host is found, without a slash at its end.
func (s *Server) URL(host string) string { return s.base + "/" + host }

// Fail makes every answer whose path begins with prefix fail, such as
// "feeds/ir" or "data.sec.gov", until it is called with the zero Fault. The
// longest prefix counts.
func (s *Server) Fail(prefix string, f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f == (Fault{}) {
		delete(s.faults, prefix)
		return
	}
	s.faults[prefix] = f
}

// Requests are those whose path begins with prefix, oldest first.
func (s *Server) Requests(prefix string) []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Request
	for _, r := range s.requests {
		if strings.HasPrefix(r.Path, prefix) {
			out = append(out, r)
		}
	}
	return out
}

// ServeHTTP answers as the world would.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/")
	logged := path
	if r.URL.RawQuery != "" {
		logged += "?" + r.URL.RawQuery
	}
	rec := &recorder{header: http.Header{}, status: http.StatusOK}
	fault := s.fault(path)
	if fault == (Fault{}) {
		s.answer(rec, r, path)
	} else if fault.Status == 0 && fault.Mode == Truncate {
		s.answer(rec, r, path)
	} else {
		rec.status = fault.Status
	}
	s.mu.Lock()
	s.requests = append(s.requests, Request{Path: logged, Header: r.Header.Clone(), Status: rec.status})
	s.mu.Unlock()
	if fault != (Fault{}) {
		fail(w, r, fault, rec)
		return
	}
	rec.send(w)
}

func (s *Server) fault(path string) (f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	longest := -1
	for prefix, have := range s.faults {
		if strings.HasPrefix(path, prefix) && len(prefix) > longest {
			f, longest = have, len(prefix)
		}
	}
	return f
}

func (s *Server) answer(w *recorder, r *http.Request, path string) {
	host, rest, _ := strings.Cut(path, "/")
	switch host {
	case "feeds":
		s.serveFeed(w, r, rest)
	case "data.sec.gov", "www.sec.gov":
		s.sec.serve(w, r, host, rest)
	case "www.tceq.texas.gov":
		s.servePermits(w, r, rest)
	case "query1.finance.yahoo.com":
		s.quotes.serveYahoo(w, r, rest)
	case "api.nasdaq.com":
		s.quotes.serveNasdaq(w, r, rest)
	case "finnhub.io":
		s.quotes.serveFinnhub(w, r, rest)
	default:
		w.say(http.StatusNotFound, "text/html", "<html><body>no such host here</body></html>")
	}
}

// recorder holds an answer back until it is whole.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *recorder) say(status int, contentType, body string) {
	w.status = status
	w.header.Set("Content-Type", contentType)
	w.body.Reset()
	w.body.WriteString(body)
}

// validated answers 304 where the request's validators match, else body with
// its validators.
func (w *recorder) validated(r *http.Request, contentType string, body []byte) {
	sum := sha256.Sum256(body)
	tag := `"` + hex.EncodeToString(sum[:8]) + `"`
	w.header.Set("ETag", tag)
	if r.Header.Get("If-None-Match") == tag {
		w.status = http.StatusNotModified
		return
	}
	w.say(http.StatusOK, contentType, string(body))
}

func (w *recorder) send(to http.ResponseWriter) {
	for k, v := range w.header {
		to.Header()[k] = v
	}
	to.WriteHeader(w.status)
	_, _ = to.Write(w.body.Bytes()) // the client may have gone
}

const challenge = `<!DOCTYPE html><html><head><title>Just a moment...</title></head><body><h1>Checking your browser</h1><noscript>Enable JavaScript</noscript></body></html>`

func fail(w http.ResponseWriter, r *http.Request, f Fault, whole *recorder) {
	html := func(status int, body string) {
		if body == "" {
			body = "<html><head><title>" + http.StatusText(status) + "</title></head><body>" + http.StatusText(status) + "</body></html>"
		}
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
	switch f.Mode {
	case Drop:
		panic(http.ErrAbortHandler)
	case Truncate:
		body := whole.body.Bytes()
		w.Header().Set("Content-Type", whole.header.Get("Content-Type"))
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(whole.status)
		_, _ = w.Write(body[:len(body)/2])
	case Drip:
		w.WriteHeader(http.StatusOK)
		for {
			_, _ = io.WriteString(w, "<")
			if err := http.NewResponseController(w).Flush(); err != nil {
				return
			}
			select {
			case <-time.After(time.Second):
			case <-r.Context().Done():
				return
			}
		}
	case Bomb:
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		for chunk, i := make([]byte, 1<<20), 0; i < 64; i++ {
			if _, err := z.Write(chunk); err != nil {
				return
			}
		}
		_ = z.Close()
	case Challenge:
		html(http.StatusOK, challenge)
	case Empty:
		w.WriteHeader(http.StatusOK)
	case Private:
		http.Redirect(w, r, "http://10.0.0.1/", http.StatusFound)
	case Whole:
		if f.RetryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(f.RetryAfter/time.Second)))
		}
		html(f.Status, f.Body)
	}
}
