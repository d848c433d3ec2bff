package fetch

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.URL
}

func client(t *testing.T, cfg Config) *Client {
	t.Helper()
	c := New(cfg)
	t.Cleanup(c.Close)
	return c
}

func local(t *testing.T) *Client {
	t.Helper()
	return client(t, Config{Version: "1.0", Contact: "you@example.org", Homepage: "https://project.example", AllowPrivate: true, Timeout: 5 * time.Second})
}

func wantError(t *testing.T, err error, class chokepoint.Class, text string) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want an *Error", err)
	}
	if e.Class != class || !strings.Contains(e.Error(), text) {
		t.Fatalf("got %s: %v; want %s and %q", e.Class, e, class, text)
	}
	return e
}

func TestEachHostIsAskedUnderTheNameItAccepts(t *testing.T) {
	t.Parallel()
	c := client(t, Config{Version: "1.2", Contact: "you@example.org", Homepage: "https://project.example",
		UserAgents: map[string]string{"special.example": "mine/{version}"}})
	anonymous := client(t, Config{Version: "1.2", Homepage: "https://project.example"})
	for host, want := range map[string]string{
		"data.sec.gov":             "chokepoint/1.2 you@example.org",
		"www.sec.gov":              "chokepoint/1.2 you@example.org",
		"query1.finance.yahoo.com": "Mozilla/5.0 (compatible; chokepoint/1.2)",
		"fred.stlouisfed.org":      "chokepoint/1.2 (+https://project.example)",
		"api.nasdaq.com":           "Mozilla/5.0 (compatible; chokepoint/1.2)",
		"feeds.example":            "chokepoint/1.2 (+https://project.example; you@example.org)",
		"notsec.gov":               "chokepoint/1.2 (+https://project.example; you@example.org)",
		"WWW.Special.Example.":     "mine/1.2",
	} {
		if got, err := c.agent(host); err != nil || got != want {
			t.Errorf("%s: got %q, %v; want %q", host, got, err, want)
		}
	}
	if got, _ := anonymous.agent("feeds.example"); got != "chokepoint/1.2 (+https://project.example)" {
		t.Errorf("without a contact: %q", got)
	}
}

func TestSECIsNotAskedWithoutAContact(t *testing.T) {
	t.Parallel()
	asked := false
	url := serve(t, func(http.ResponseWriter, *http.Request) { asked = true })
	c := client(t, Config{AllowPrivate: true})
	_, err := c.Get(t.Context(), Request{URL: url, As: "data.sec.gov"})
	wantError(t, err, chokepoint.NotAsked, "set contact")
	if asked {
		t.Error("it was asked")
	}
}

func TestConditionsAreSentOnlyAsGivenAndUnchangedIsSeen(t *testing.T) {
	t.Parallel()
	var header http.Header
	tag, body, honour := `W/"1"`, "one", true
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		header = r.Header.Clone()
		if honour && tag != "" && r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		if tag != "" {
			w.Header().Set("ETag", tag)
		}
		io.WriteString(w, body)
	})
	c := local(t)
	first, err := c.Get(t.Context(), Request{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte("one"))
	if header.Get("If-None-Match") != "" || string(first.Body) != "one" || first.Validators != (Validators{ETag: tag, SHA256: hex.EncodeToString(sum[:])}) {
		t.Fatalf("first: header %v, page %+v", header, first)
	}
	again, err := c.Get(t.Context(), Request{URL: url, Validators: first.Validators})
	if err != nil || !again.Unchanged || again.Validators != first.Validators {
		t.Fatalf("304: %+v, %v", again, err)
	}
	tag = `W/"2"` // another tag, the same body
	again, err = c.Get(t.Context(), Request{URL: url, Validators: again.Validators})
	if err != nil || !again.Unchanged || again.Body != nil || again.Validators.ETag != tag {
		t.Fatalf("same digest: %+v, %v", again, err)
	}
	tag, body = "", "two" // the host forgets how to make tags
	again, err = c.Get(t.Context(), Request{URL: url, Validators: again.Validators})
	if err != nil || again.Unchanged || string(again.Body) != "two" || again.Validators.ETag != "" {
		t.Fatalf("changed: %+v, %v", again, err)
	}
}

func TestAnAnswerIsClassifiedOnce(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		status int
		retry  string
		class  chokepoint.Class
		wait   time.Duration
	}{
		{"a missing page is gone", 404, "", chokepoint.Gone, 0},
		{"a page that was taken away is gone", 410, "", chokepoint.Gone, 0},
		{"a wrong key blocks without closing the host", 401, "", chokepoint.Blocked, 0},
		{"a refusal closes the host", 403, "", chokepoint.Blocked, 15 * time.Minute},
		{"too many requests without a word close it as long", 429, "", chokepoint.RateLimited, 15 * time.Minute},
		{"too many requests with seconds are obeyed", 429, "40", chokepoint.RateLimited, 40 * time.Second},
		{"ten years are not", 429, "315360000", chokepoint.RateLimited, 6 * time.Hour},
		{"a far date is not", 429, "Fri, 31 Dec 2199 23:59:59 GMT", chokepoint.RateLimited, 6 * time.Hour},
		{"a header that is no time is passed over", 429, "soon", chokepoint.RateLimited, 15 * time.Minute},
		{"a server's trouble is transport", 502, "", chokepoint.Transport, 0},
		{"maintenance says how long", 503, "120", chokepoint.Transport, 2 * time.Minute},
		{"a bad request is not the format", 422, "", chokepoint.NotTheFormat, 0},
		{"304 to an unconditional request is not the format", 304, "", chokepoint.NotTheFormat, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int32
			url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				asked.Add(1)
				if tc.retry != "" {
					w.Header().Set("Retry-After", tc.retry)
				}
				w.WriteHeader(tc.status)
			})
			c := local(t)
			_, err := c.Get(t.Context(), Request{URL: url + "/list.xml?apikey=hunter2"})
			e := wantError(t, err, tc.class, "/list.xml?apikey=***: ")
			if e.Wait != tc.wait || e.Status != tc.status || strings.Contains(e.Error(), "hunter2") {
				t.Fatalf("wait %v, status %d, %v", e.Wait, e.Status, e)
			}
			_, err = c.Get(t.Context(), Request{URL: url})
			e = wantError(t, err, tc.class, "")
			if closed := tc.wait > 0; closed != (asked.Load() == 1) || closed != (e.Wait > 0) {
				t.Errorf("asked %d times, then told to wait %v", asked.Load(), e.Wait)
			}
		})
	}
}

func TestAHostsOwnMeaningOfAStatusWins(t *testing.T) {
	t.Parallel()
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, "<Code>AccessDenied</Code>")
	})
	c := local(t)
	missing := func(_ int, _ http.Header, body []byte) chokepoint.Class {
		if strings.Contains(string(body), "AccessDenied") {
			return chokepoint.Gone
		}
		return ""
	}
	for range 2 {
		_, err := c.Get(t.Context(), Request{URL: url, As: "www.sec.gov", Refused: missing})
		if e := wantError(t, err, chokepoint.Gone, "403"); e.Wait != 0 || !strings.Contains(string(e.Body), "AccessDenied") {
			t.Fatalf("%+v", e)
		}
	}
}

func TestBodiesAreBounded(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/fits", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, strings.Repeat("a", 1000)) })
	mux.HandleFunc("/long", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, strings.Repeat("a", 1001)) })
	mux.HandleFunc("/bomb", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		chunk := make([]byte, 1<<20)
		for range 100 {
			if _, err := z.Write(chunk); err != nil {
				return
			}
		}
		z.Close()
	})
	mux.HandleFunc("/zipped", func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			http.Error(w, "", http.StatusNotAcceptable)
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		io.WriteString(z, "unzipped")
		z.Close()
	})
	mux.HandleFunc("/cut", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, "half")
	})
	mux.HandleFunc("/headers", func(w http.ResponseWriter, _ *http.Request) {
		for i := range 100 {
			w.Header().Set(fmt.Sprintf("X-%d", i), strings.Repeat("h", 1000))
		}
	})
	mux.HandleFunc("/brotli", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "br")
		io.WriteString(w, "?")
	})
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "drip")
		w.(http.Flusher).Flush()
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	url := serve(t, mux.ServeHTTP)
	t.Cleanup(func() { close(release) })
	c := local(t)
	get := func(path string) (*Page, error) { return c.Get(t.Context(), Request{URL: url + path, Limit: 1000}) }
	if p, err := get("/fits"); err != nil || len(p.Body) != 1000 {
		t.Errorf("fits: %v", err)
	}
	if p, err := get("/zipped"); err != nil || string(p.Body) != "unzipped" {
		t.Errorf("zipped: %v", err)
	}
	_, err := get("/long")
	wantError(t, err, chokepoint.NotTheFormat, "longer than 1000 bytes")
	_, err = get("/bomb")
	wantError(t, err, chokepoint.NotTheFormat, "longer than 1000 bytes")
	_, err = get("/cut")
	wantError(t, err, chokepoint.Transport, "unexpected EOF")
	_, err = get("/headers")
	wantError(t, err, chokepoint.Transport, "header")
	_, err = get("/brotli")
	wantError(t, err, chokepoint.NotTheFormat, "br")

	hasty := client(t, Config{AllowPrivate: true, Timeout: 50 * time.Millisecond})
	_, err = hasty.Get(t.Context(), Request{URL: url + "/slow"})
	wantError(t, err, chokepoint.Transport, "no answer in time")
}

func TestRedirectsStayWithinBounds(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var arrived []http.Header
	other := serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		arrived = append(arrived, r.Header.Clone())
		io.WriteString(w, "there")
	})
	mux := http.NewServeMux()
	mux.HandleFunc("/loop", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/loop", http.StatusFound) })
	mux.HandleFunc("/file", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "file:///etc/passwd")
		w.WriteHeader(http.StatusFound)
	})
	mux.HandleFunc("/away", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other, http.StatusMovedPermanently) })
	mux.HandleFunc("/sec", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://www.sec.gov/", http.StatusFound)
	})
	url := serve(t, mux.ServeHTTP)
	c := local(t)

	_, err := c.Get(t.Context(), Request{URL: url + "/loop"})
	wantError(t, err, chokepoint.NotTheFormat, "more than 5 redirects")
	_, err = c.Get(t.Context(), Request{URL: url + "/file"})
	wantError(t, err, chokepoint.NotTheFormat, "file")
	p, err := c.Get(t.Context(), Request{URL: url + "/away?token=hunter2", Header: http.Header{"X-Finnhub-Token": {"hunter2"}}, Validators: Validators{ETag: `"1"`}})
	if err != nil || p.URL != other || string(p.Body) != "there" {
		t.Fatalf("%+v, %v", p, err)
	}
	for _, h := range arrived {
		if strings.Contains(fmt.Sprint(h), "hunter2") || h.Get("If-None-Match") != "" {
			t.Errorf("travelled along: %v", h)
		}
	}
	anonymous := client(t, Config{AllowPrivate: true})
	_, err = anonymous.Get(t.Context(), Request{URL: url + "/sec"})
	wantError(t, err, chokepoint.NotAsked, "set contact")

	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other, http.StatusFound)
	}))
	t.Cleanup(secure.Close)
	trusting := local(t)
	trusting.transport.TLSClientConfig = secure.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	_, err = trusting.Get(t.Context(), Request{URL: secure.URL})
	wantError(t, err, chokepoint.NotTheFormat, "from https to http")
}

func TestPrivateAddressesAreNotDialled(t *testing.T) {
	t.Parallel()
	var asked atomic.Bool
	url := serve(t, func(http.ResponseWriter, *http.Request) { asked.Store(true) })
	c := client(t, Config{Contact: "you@example.org", Timeout: 2 * time.Second})
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(url, "http://"))
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254", "10.0.0.1", "100.64.0.1", "[64:ff9b::7f00:1]", "0.0.0.0"} {
		_, err := c.Get(t.Context(), Request{URL: "http://" + host + "/"})
		wantError(t, err, chokepoint.NotAsked, "allow_private")
	}
	_, err := c.Get(t.Context(), Request{URL: "http://127.0.0.1:" + port})
	wantError(t, err, chokepoint.NotAsked, "allow_private")
	for _, bad := range []string{"file:///etc/passwd", "gopher://example.org", "feeds.example/rss", "http://", "://"} {
		_, err := c.Get(t.Context(), Request{URL: bad})
		wantError(t, err, chokepoint.NotAsked, "not an http or https address")
	}
	if asked.Load() {
		t.Error("the loopback server was asked")
	}
}

func TestAnUntrustedCertificateIsRefused(t *testing.T) {
	t.Parallel()
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	_, err := local(t).Get(t.Context(), Request{URL: srv.URL})
	wantError(t, err, chokepoint.Transport, "certificate")
}

func TestAConnectionThatIsDroppedIsTriedOnceMore(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if n := asked.Add(1); n == 1 || r.URL.Path == "/never" {
			panic(http.ErrAbortHandler)
		}
		io.WriteString(w, "ok")
	})
	c := local(t)
	if p, err := c.Get(t.Context(), Request{URL: url}); err != nil || string(p.Body) != "ok" {
		t.Fatalf("%v", err)
	}
	before := asked.Load()
	_, err := c.Get(t.Context(), Request{URL: url + "/never"})
	wantError(t, err, chokepoint.Transport, "/never")
	if n := asked.Load() - before; n > 4 { // net/http itself tries a kept connection again
		t.Errorf("tried %d times", n)
	}
}

func TestAHostIsAskedOneAtATimeAndOthersMeanwhile(t *testing.T) {
	t.Parallel()
	var now, most atomic.Int32
	gate := make(chan struct{})
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		most.Store(max(most.Load(), now.Add(1)))
		<-gate
		now.Add(-1)
	})
	other := serve(t, func(http.ResponseWriter, *http.Request) {})
	c := local(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if _, err := c.Get(t.Context(), Request{URL: url}); err != nil {
				t.Error(err)
			}
		})
	}
	if _, err := c.Get(t.Context(), Request{URL: other}); err != nil {
		t.Error(err)
	}
	close(gate)
	wg.Wait()
	if most.Load() != 1 {
		t.Errorf("%d requests at a time", most.Load())
	}
}

func TestLaneKeepsItsPace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, began := newLane(150*time.Millisecond, 11*time.Minute), time.Now()
		for i := range 5 {
			if err := l.enter(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got, want := time.Since(began), time.Duration(i)*150*time.Millisecond; got != want {
				t.Errorf("request %d after %v, want %v", i, got, want)
			}
			time.Sleep(20 * time.Millisecond) // the gap is from start to start
			l.leave(nil)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if err := l.enter(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the deadline", err)
		}
		if err := l.enter(t.Context()); err != nil {
			t.Errorf("the turn was not given back: %v", err)
		}
	})
}

func TestLaneIsSilentAfterARefusalAndLongerEachTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLane(time.Second, 11*time.Minute)
		for _, want := range []time.Duration{11 * time.Minute, 22 * time.Minute, 44 * time.Minute, 88 * time.Minute, 176 * time.Minute, 352 * time.Minute, 6 * time.Hour, 6 * time.Hour} {
			if err := l.enter(t.Context()); err != nil {
				t.Fatal(err)
			}
			l.leave(&Error{Class: chokepoint.Blocked, Status: 403, Err: errors.New("403")})
			time.Sleep(want - time.Second)
			var e *Error
			if err := l.enter(t.Context()); !errors.As(err, &e) || e.Class != chokepoint.Blocked || e.Wait != time.Second {
				t.Fatalf("a second before %v have passed: %v", want, err)
			}
			time.Sleep(time.Second)
		}
		if err := l.enter(t.Context()); err != nil {
			t.Fatal(err)
		}
		l.leave(nil) // one answer, and the count starts anew
		if err := l.enter(t.Context()); err != nil {
			t.Fatal(err)
		}
		e := &Error{Class: chokepoint.RateLimited, Status: 429, Err: errors.New("429")}
		l.leave(e)
		if e.Wait != 11*time.Minute {
			t.Errorf("after an answer: %v", e.Wait)
		}
	})
}

func TestHostsOfOneAllowanceShareALane(t *testing.T) {
	t.Parallel()
	c := local(t)
	lane := func(as, address string) *lane {
		req, err := http.NewRequest(http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		return c.lane(as, req.URL)
	}
	if lane("data.sec.gov", "https://data.sec.gov/x") != lane("www.sec.gov", "https://www.sec.gov/y") {
		t.Error("data.sec.gov and www.sec.gov do not share")
	}
	if lane("a.example", "https://a.example/") == lane("b.example", "https://b.example/") {
		t.Error("strangers share")
	}
	if l := lane("sec.gov", "http://127.0.0.1:8001/"); l.gap != 0 || l.pause != 11*time.Minute {
		t.Errorf("a local mirror: gap %v, pause %v", l.gap, l.pause)
	}
}

func TestRedactKeepsWhatHelpsAndStrikesOutKeys(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"https://user:pw@feeds.example/a/b?s=AAOI&region=US#x":            "feeds.example/a/b?s=AAOI&region=US",
		"https://api.example/q?symbol=AAOI&apikey=abc&api_token=d":        "api.example/q?symbol=AAOI&apikey=***&api_token=***",
		"https://api.example/q?Subscription-Key=0123":                     "api.example/q?Subscription-Key=***",
		"https://www.reddit.com/new.rss?feed=0a1b2c3d4e5f60718293&user=u": "www.reddit.com/new.rss?feed=***&user=u",
		"https://www.nasdaqtrader.com/rss.aspx?feed=tradehalts":           "www.nasdaqtrader.com/rss.aspx?feed=tradehalts",
		"https://x.example/?flag":                                         "x.example/?flag",
		"http://[bad":                                                     "an address that cannot be read",
	} {
		if got := Redact(in); got != want {
			t.Errorf("Redact(%q) = %q, want %q", in, got, want)
		}
	}
}
