package bot

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func TestGateHoldsBackWhatAChatDoesNotWantNow(t *testing.T) {
	t.Parallel()
	quiet := chokepoint.QuietHours{From: 22 * 60, To: 7 * 60}
	ny := "America/New_York" // noon UTC is 07:00 there
	at := func(h, m int) time.Time { return time.Date(2026, 11, 24, h, m, 0, 0, time.UTC) }
	for name, c := range map[string]struct {
		now   time.Time
		chat  chokepoint.Chat
		alert chokepoint.Alert
		want  decision
	}{
		"wanted":                        {noon, chokepoint.Chat{}, chokepoint.Alert{}, decision{deliver, time.Time{}, "wanted"}},
		"muted":                         {noon, chokepoint.Chat{Muted: at(15, 0)}, chokepoint.Alert{Severity: chokepoint.Urgent}, decision{wait, at(15, 0), "muted"}},
		"muted until now":               {noon, chokepoint.Chat{Muted: noon}, chokepoint.Alert{}, decision{deliver, time.Time{}, "wanted"}},
		"a muted story":                 {noon, chokepoint.Chat{MutedStories: map[chokepoint.StoryID]time.Time{"s": at(13, 0)}}, chokepoint.Alert{Story: "s"}, decision{drop, time.Time{}, "muted-story"}},
		"too slight":                    {noon, chokepoint.Chat{MinSeverity: chokepoint.Notice}, chokepoint.Alert{}, decision{drop, time.Time{}, "slight"}},
		"past its time":                 {noon, chokepoint.Chat{}, chokepoint.Alert{Expires: at(11, 0)}, decision{drop, time.Time{}, "expired"}},
		"quiet before midnight":         {at(4, 30), chokepoint.Chat{Quiet: quiet, Zone: ny}, chokepoint.Alert{}, decision{wait, at(12, 0), "quiet"}}, // 23:30
		"quiet after midnight":          {at(11, 59), chokepoint.Chat{Quiet: quiet, Zone: ny}, chokepoint.Alert{}, decision{wait, at(12, 0), "quiet"}},
		"quiet hours end on the minute": {noon, chokepoint.Chat{Quiet: quiet, Zone: ny}, chokepoint.Alert{}, decision{deliver, time.Time{}, "wanted"}},
		"urgent breaks the quiet":       {at(4, 30), chokepoint.Chat{Quiet: quiet, Zone: ny}, chokepoint.Alert{Severity: chokepoint.Urgent}, decision{deliver, time.Time{}, "wanted"}},
		"equal ends are no quiet":       {noon, chokepoint.Chat{Quiet: chokepoint.QuietHours{From: 60, To: 60}}, chokepoint.Alert{}, decision{deliver, time.Time{}, "wanted"}},
		"a drill passes everything": {at(4, 30), chokepoint.Chat{Quiet: quiet, Zone: ny, Muted: at(15, 0), MinSeverity: chokepoint.Urgent, MutedStories: map[chokepoint.StoryID]time.Time{"s": at(23, 0)}},
			chokepoint.Alert{Drill: true, Story: "s", Expires: at(3, 0)}, decision{deliver, time.Time{}, "drill"}},
		"an unknown zone is taken for UTC": {at(23, 0), chokepoint.Chat{Quiet: quiet, Zone: "Mars"}, chokepoint.Alert{}, decision{wait, time.Date(2026, 11, 25, 7, 0, 0, 0, time.UTC), "quiet"}},
	} {
		if got := gate(c.now, c.chat, &c.alert); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestQuietHoursFollowTheClocksOnTheWall(t *testing.T) {
	t.Parallel()
	ny, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	// 2026-03-08: 02:00 EST is 03:00 EDT. 2026-11-01: 02:00 EDT is 01:00 EST.
	spring := func(h, m int) time.Time { return time.Date(2026, 3, 8, h, m, 0, 0, time.UTC) }  // 7:00 UTC is the change
	autumn := func(h, m int) time.Time { return time.Date(2026, 11, 1, h, m, 0, 0, time.UTC) } // 6:00 UTC is the change
	hours := func(from, to string) chokepoint.QuietHours {
		at := func(s string) int {
			c, err := time.Parse("15:04", s)
			if err != nil {
				t.Fatal(err)
			}
			return c.Hour()*60 + c.Minute()
		}
		return chokepoint.QuietHours{From: at(from), To: at(to)}
	}
	for name, c := range map[string]struct {
		now  time.Time
		q    chokepoint.QuietHours
		want time.Time
	}{
		"the night in which an hour is skipped":                     {spring(5, 0), hours("22:00", "07:00"), spring(11, 0)},
		"an end that is skipped is reached with the jump":           {spring(6, 59), hours("22:00", "02:30"), spring(7, 0)},
		"the night in which an hour is repeated":                    {autumn(4, 0), hours("22:00", "07:00"), autumn(12, 0)},
		"an end that is repeated is reached the first time":         {autumn(5, 10), hours("22:00", "01:30"), autumn(5, 30)},
		"and holds again from the change to the second":             {autumn(6, 10), hours("22:00", "01:30"), autumn(6, 30)},
		"an end at the change is reached when it is shown":          {autumn(5, 10), hours("22:00", "02:00"), autumn(7, 0)},
		"seconds do not count":                                      {spring(5, 0).Add(59 * time.Second), hours("00:00", "00:01"), spring(5, 1)},
		"after the end":                                             {spring(5, 1), hours("00:00", "00:01"), time.Time{}},
		"before the start":                                          {spring(4, 59), hours("00:00", "00:01"), time.Time{}},
		"from 00:00 to 23:59 there is one minute a day that is not": {spring(4, 58), hours("00:00", "23:59"), spring(4, 59)},
	} {
		if got := quietUntil(c.now, c.q, ny.String()); !got.Equal(c.want) {
			t.Errorf("%s: at %s until %s, want %s", name, c.now.In(ny), got.In(ny), c.want.In(ny))
		}
	}
}

func TestQuietHoursAlwaysEnd(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		q := chokepoint.QuietHours{From: rapid.IntRange(0, 1439).Draw(t, "from"), To: rapid.IntRange(0, 1439).Draw(t, "to")}
		zone := rapid.SampledFrom([]string{"America/New_York", "Europe/Stockholm", "Africa/Cairo", "Australia/Lord_Howe", "Asia/Shanghai"}).Draw(t, "zone")
		now := time.Unix(rapid.Int64Range(1767225600, 1830297600).Draw(t, "now"), 0).UTC() // 2026 and 2027
		for range 5 {
			end := quietUntil(now, q, zone)
			if end.IsZero() {
				return
			}
			if !end.After(now) || end.Sub(now) > 26*time.Hour {
				t.Fatalf("at %s the quiet lasts until %s", now, end)
			}
			now = end
		}
		t.Fatalf("the quiet does not end: %+v in %s", q, zone)
	})
}

func TestSettleGivesEachAnswerItsMeaning(t *testing.T) {
	t.Parallel()
	telegram, discord := Limits{}, Limits{Dedups: true}
	fail := func(c Class) error {
		return &SendError{Class: c, Wait: 7 * time.Second, To: chokepoint.ChatID{ID: "new"}, Err: errors.New("said so")}
	}
	fresh := chokepoint.Delivery{ID: "d", Queued: noon.Add(-time.Minute)}
	with := func(f func(*chokepoint.Delivery)) chokepoint.Delivery { d := fresh; f(&d); return d }
	for name, c := range map[string]struct {
		d      chokepoint.Delivery
		sev    chokepoint.Severity
		limits Limits
		err    error
		want   chokepoint.OutcomeKind
		check  func(chokepoint.Outcome) bool
	}{
		"shown": {fresh, 0, discord, nil, chokepoint.Sent, func(o chokepoint.Outcome) bool { return o.Posting.Message == "m" }},
		"transient is tried again": {fresh, 0, discord, fail(Transient), chokepoint.Retry, func(o chokepoint.Outcome) bool {
			return o.NotBefore.Sub(noon) > 500*time.Millisecond && o.NotBefore.Sub(noon) < 2*time.Second
		}},
		"an unclassified error is transient":                  {fresh, 0, discord, errors.New("x"), chokepoint.Retry, nil},
		"a day of failures ends it":                           {with(func(d *chokepoint.Delivery) { d.Attempts = 300; d.Queued = noon.Add(-25 * time.Hour) }), 0, discord, fail(Transient), chokepoint.Dead, nil},
		"held for a day and then failed once":                 {with(func(d *chokepoint.Delivery) { d.Queued = noon.Add(-25 * time.Hour) }), 0, discord, fail(Transient), chokepoint.Retry, nil},
		"rate-limited waits as told, holding the lane":        {fresh, 0, discord, fail(RateLimited), chokepoint.Snooze, func(o chokepoint.Outcome) bool { return o.Hold && o.NotBefore.Equal(noon.Add(7*time.Second)) }},
		"a chat that is gone closes its lane":                 {fresh, 0, discord, fail(ChatGone), chokepoint.Dead, func(o chokepoint.Outcome) bool { return o.Gone }},
		"a chat that moved is followed at once":               {fresh, 0, telegram, fail(Moved), chokepoint.Retry, func(o chokepoint.Outcome) bool { return o.Moved.ID == "new" && o.NotBefore.Equal(noon) }},
		"a rejected message is tried as plain text":           {fresh, 0, telegram, fail(Rejected), chokepoint.Retry, func(o chokepoint.Outcome) bool { return formOf(chokepoint.Delivery{LastErr: o.Reason}) == asPlain }},
		"plain text rejected too is given up":                 {with(func(d *chokepoint.Delivery) { d.LastErr = "rejected: x" }), 0, telegram, fail(Rejected), chokepoint.Dead, func(o chokepoint.Outcome) bool { return !o.Gone }},
		"a card that is gone is posted anew":                  {fresh, 0, discord, fail(MessageGone), chokepoint.Retry, func(o chokepoint.Outcome) bool { return strings.HasPrefix(o.Reason, "message-gone") }},
		"a refused token holds the lane":                      {fresh, 0, discord, fail(Unauthorized), chokepoint.Snooze, func(o chokepoint.Outcome) bool { return o.Hold && o.NotBefore.Sub(noon) >= time.Minute }},
		"a lost answer is repeated where repeats are dropped": {with(func(d *chokepoint.Delivery) { d.Unknown = 9 }), 0, discord, fail(Unknown), chokepoint.Retry, func(o chokepoint.Outcome) bool { return o.Unknown }},
		"a lost answer is repeated once where they are not":   {fresh, chokepoint.Notice, telegram, fail(Unknown), chokepoint.Retry, func(o chokepoint.Outcome) bool { return o.Unknown }},
		"and not twice":                     {with(func(d *chokepoint.Delivery) { d.Unknown = 1 }), chokepoint.Urgent, telegram, fail(Unknown), chokepoint.Dead, func(o chokepoint.Outcome) bool { return o.Unknown }},
		"and not at all for what is slight": {fresh, chokepoint.Info, telegram, fail(Unknown), chokepoint.Dropped, nil},
		"our own fault is tried again":      {fresh, 0, discord, fmt.Errorf("%w: x", errPanic), chokepoint.Retry, nil},
		"and given up the third time":       {with(func(d *chokepoint.Delivery) { d.Attempts, d.LastErr = 7, "broke 2 of 3: panic: x" }), 0, discord, fmt.Errorf("%w: x", errPanic), chokepoint.Dead, nil},
	} {
		g := chokepoint.Grant{Delivery: c.d, Alert: &chokepoint.Alert{Severity: c.sev}, Pace: chokepoint.Pace{TAT: noon}}
		got := settle(noon, g, c.limits, &chokepoint.Posting{Message: "m"}, chokepoint.Pace{TAT: noon.Add(time.Second)}, c.err)
		if got.Kind != c.want || c.check != nil && !c.check(got) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestPausesGrowToFiveMinutesAndDiffer(t *testing.T) {
	t.Parallel()
	for n := range 30 {
		p := pauseAfter(chokepoint.Delivery{ID: "d", Attempts: n})
		if p < time.Second*3/4 || p > longestPause*5/4 {
			t.Errorf("attempt %d: %s", n, p)
		}
		if n > 9 && p < 3*time.Minute {
			t.Errorf("attempt %d: only %s", n, p)
		}
	}
	if pauseAfter(chokepoint.Delivery{ID: "a", Attempts: 8}) == pauseAfter(chokepoint.Delivery{ID: "b", Attempts: 8}) {
		t.Error("two deliveries that failed together come back together")
	}
}

func TestSpendKeepsThePaceWhateverTheArrivals(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		every := time.Duration(rapid.IntRange(1, 5000).Draw(t, "every")) * time.Millisecond
		burst := rapid.IntRange(1, 10).Draw(t, "burst")
		now, tat := noon, time.Time{}
		var sent []time.Time
		for range 60 {
			now = now.Add(time.Duration(rapid.IntRange(0, 3000).Draw(t, "gap")) * time.Millisecond)
			next, wait := spend(now, tat, every, burst)
			if wait > 0 {
				if _, again := spend(now.Add(wait), tat, every, burst); again > 0 {
					t.Fatalf("after waiting %s there is still no room", wait)
				}
				continue
			}
			tat = next
			sent = append(sent, now)
		}
		for i := burst; i < len(sent); i++ {
			if gap := sent[i].Sub(sent[i-burst]); gap < every {
				t.Fatalf("%d messages within %s, with one per %s and %d at once", burst+1, gap, every, burst)
			}
		}
	})
}

func TestSplittingLosesNothingAndCutsNoCharacter(t *testing.T) {
	t.Parallel()
	measure := func(m Message) int { return len([]rune(m.PlainText())) }
	rapid.Check(t, func(t *rapid.T) {
		l := Limits{Text: rapid.IntRange(40, 200).Draw(t, "limit"), Measure: measure}
		piece := rapid.SampledFrom([]string{"word ", "长期协议", "👩‍🔬", "e\u0301", "a", "🇸🇪", "https://example.org/a/b "})
		m := Message{Title: "Title", Footer: "foot", Actions: []Action{{Label: "Why", Command: "/why x"}}}
		for range rapid.IntRange(0, 8).Draw(t, "lines") {
			m.Lines = append(m.Lines, Text(strings.Join(rapid.SliceOfN(piece, 0, 80).Draw(t, "text"), "")))
		}
		parts := split(m, l)
		var all strings.Builder
		for i, p := range parts {
			if measure(p) > l.Text {
				t.Fatalf("part %d is %d long, more than %d", i, measure(p), l.Text)
			}
			for _, line := range p.Lines {
				for _, s := range line.Spans {
					if strings.HasPrefix(s.Text, "\u200d") || strings.HasPrefix(s.Text, "\u0301") {
						t.Fatalf("a character was cut: %q", s.Text)
					}
					all.WriteString(s.Text)
				}
			}
		}
		var want strings.Builder
		for _, line := range m.Lines {
			want.WriteString(line.Spans[0].Text)
		}
		if all.String() != want.String() {
			t.Fatalf("the parts hold %q, want %q", all.String(), want.String())
		}
		last := parts[len(parts)-1]
		if parts[0].Title != "Title" || last.Footer != "foot" || len(last.Actions) != 1 {
			t.Fatal("title, footer or buttons were lost")
		}
	})
}

func TestTextIsCutBetweenCharactersAsPeopleSeeThem(t *testing.T) {
	t.Parallel()
	for _, characters := range [][]string{
		{"a", "b", " ", "c"},
		{"长", "期", "协", "议", "。"},
		{"🇸🇪", "🇹🇼", "🇺🇸", "x", "🇯🇵"},
		{"👩‍🔬", "👍🏽", "❤️", "👨‍👩‍👧‍👦", "🏴\U000e0067\U000e0062\U000e007f"},
		{"e\u0301", "n\u0303\u0323", "は\u3099", "กี", "नि", "ক্"},
		{"한", "국", "\u1112\u1161\u11ab", "\uac00\u11a8"},
		{"\r\n", "x", "\n"},
		nil,
	} {
		text, want := "", []int{0}
		for _, c := range characters {
			text += c
			want = append(want, len(text))
		}
		if got := borders(text); !slices.Equal(got, want) {
			t.Errorf("%q is cut at %v, want %v", text, got, want)
		}
	}
}

func TestAPictureThatAPlatformCannotCarryIsLeftOut(t *testing.T) {
	t.Parallel()
	m := Message{Title: "AAOI", Image: make([]byte, 10), Alt: "a chart"}
	for limit, stays := range map[int]bool{0: false, 9: false, 10: true} {
		got := split(m, Limits{Image: limit})
		if len(got) != 1 || (got[0].Image != nil) != stays || (got[0].Alt != "") != stays || got[0].Title != "AAOI" {
			t.Errorf("with %d bytes allowed: %+v", limit, got)
		}
	}
}

func TestAnEventIsAnsweredOnceAndAFloodIsToldOnce(t *testing.T) {
	t.Parallel()
	f := newFlood()
	in := Inbound{ID: "1", Chat: chokepoint.ChatID{Platform: "telegram", ID: "c"}, User: "u"}
	if ok, _ := f.pass(noon, in); !ok {
		t.Error("the first was refused")
	}
	if ok, tell := f.pass(noon, in); ok || tell {
		t.Error("the same event was answered twice")
	}
	told, passed := 0, 0
	for i := range 50 {
		in.ID = fmt.Sprint("x", i)
		ok, tell := f.pass(noon, in)
		if ok {
			passed++
		}
		if tell {
			told++
		}
	}
	if passed != personBurst-1 || told != 1 {
		t.Errorf("%d passed and %d were told", passed, told)
	}
	in.ID = "later"
	if ok, _ := f.pass(noon.Add(personEvery), in); !ok {
		t.Error("after a pause there is still no room")
	}
	other := Inbound{ID: "o", Chat: in.Chat, User: "v"}
	if ok, _ := f.pass(noon, other); !ok {
		t.Error("one person's flood silenced another")
	}
}
