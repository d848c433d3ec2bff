package upstreamtest

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func ask(t *testing.T, url, agent string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("User-Agent", agent)
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return resp.StatusCode, err.Error()
	}
	return resp.StatusCode, string(body)
}

const sec = "chokepoint/1.0 you@example.org"

func TestWhoAsksInTheWrongNameIsRefused(t *testing.T) {
	t.Parallel()
	up := Start(t)
	up.SEC().Company("1", "X", "X")
	up.Quotes().Set("X", "20", time.Unix(1795208400, 0))
	data := up.SEC().DataURL() + "/submissions/CIK0000000001.json"
	chart := up.Quotes().YahooURL() + "/v8/finance/chart/X"
	for _, tc := range []struct {
		url, agent string
		status     int
		text       string
	}{
		{data, sec, 200, `"name":"X"`},
		{data, "chokepoint/1.0", 403, "Undeclared Automated Tool"},
		{data, "Mozilla/5.0 (compatible; you@example.org)", 403, "Undeclared Automated Tool"},
		{up.SEC().DataURL() + "/submissions/CIK0000000002.json", sec, 404, "NoSuchKey"},
		{up.SEC().ArchiveURL() + "/Archives/edgar/data/1/2/3.htm", sec, 403, "AccessDenied"},
		{chart, "Mozilla/5.0 (compatible; chokepoint/1.0)", 200, `"regularMarketPrice":20`},
		{chart, "Go-http-client/1.1", 429, "Too Many Requests"},
		{up.Quotes().NasdaqURL() + "/api/quote/X/info", "Mozilla/5.0", 403, "Denied"},
		{up.URL("elsewhere") + "/", sec, 404, "no such host"},
	} {
		if status, text := ask(t, tc.url, tc.agent); status != tc.status || !strings.Contains(text, tc.text) {
			t.Errorf("%s as %q: %d %.100q", tc.url, tc.agent, status, text)
		}
	}
}

func TestEDGARStaysShutWhileItIsAsked(t *testing.T) {
	t.Parallel()
	up := Start(t)
	var now atomic.Int64
	up.SetNow(func() time.Time { return time.Unix(1795208400+now.Load(), 0) })
	up.SEC().Company("1", "X")
	up.SEC().Limit(3)
	url := up.SEC().DataURL() + "/submissions/CIK0000000001.json"
	status := func(at int64) int {
		now.Store(at)
		code, _ := ask(t, url, sec)
		return code
	}
	for range 3 {
		if got := status(0); got != 200 {
			t.Fatalf("within the limit: %d", got)
		}
	}
	for _, at := range []int64{0, 300, 800, 1390} { // each request starts the ten minutes anew
		if got := status(at); got != 403 {
			t.Errorf("after %d s: %d", at, got)
		}
	}
	if got := status(1990); got != 200 {
		t.Errorf("after ten quiet minutes: %d", got)
	}
}

func TestFailuresAreAsTold(t *testing.T) {
	t.Parallel()
	up := Start(t)
	up.Feed("ir").Add(Item{GUID: "1", Title: "one", Link: "https://ir.example/1"})
	for name, tc := range map[string]struct {
		fault Fault
		code  int
		text  string
	}{
		"none": {Fault{}, 200, "<title>one</title>"}, "refused": {Refused, 403, "Forbidden"}, "busy": {Busy, 429, "Too Many"}, "dropped": {Dropped, 0, "EOF"},
		"truncated": {Truncated, 200, "unexpected EOF"}, "a challenge": {Challenged, 200, "Checking your browser"}, "blank": {Blank, 200, ""}, "down": {Down, 502, "Bad Gateway"},
	} {
		up.Fail("feeds", tc.fault)
		if code, text := ask(t, up.Feed("ir").URL(), sec); code != tc.code || !strings.Contains(text, tc.text) {
			t.Errorf("%s: %d %.100q", name, code, text)
		}
	}
	up.Fail("feeds", Refused)
	up.Fail("feeds/ir", Busy)
	if code, _ := ask(t, up.Feed("ir").URL(), sec); code != 429 {
		t.Errorf("the longest prefix does not count: %d", code)
	}
	if n := len(up.Requests("feeds/ir")); n != 9 {
		t.Errorf("%d requests were noted", n)
	}
}
