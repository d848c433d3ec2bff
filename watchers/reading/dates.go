package reading

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

var (
	englishDate = regexp.MustCompile(`\b(jan|feb|mar|apr|may|jun|jul|aug|sep|sept|oct|nov|dec)(?:uary|ruary|ch|il|e|y|ust|tember|ober|ember)?\.?(?: (\d{1,2})(?:st|nd|rd|th)?\b)?,?(?: (20\d\d))?\b`)
	hanDate     = regexp.MustCompile(`(?:(20\d\d)年)?(\d{1,2})月(?:(\d{1,2})[日号])?`)
	months      = map[string]int{"jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6, "jul": 7, "aug": 8, "sep": 9, "sept": 9, "oct": 10, "nov": 11, "dec": 12}
)

// dates are the days that folded text names, none after published: a day with
// no year is its last occurrence; a month with a year counts as its last day.
func dates(text string, published time.Time) []time.Time {
	if published.IsZero() {
		return nil
	}
	var out []time.Time
	add := func(year string, month int, day string) {
		if day == "" && year == "" || month < 1 || month > 12 {
			return
		}
		y := published.Year()
		if year != "" {
			y, _ = strconv.Atoi(year)
		}
		t := time.Date(y, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC)
		if day != "" {
			d, _ := strconv.Atoi(day)
			if d < 1 || d > 31 {
				return
			}
			t = time.Date(y, time.Month(month), d, 0, 0, 0, 0, time.UTC)
		} else if y == published.Year() && time.Month(month) == published.Month() {
			t = published
		}
		soon := published.Add(36 * time.Hour)
		if year == "" && t.After(soon) {
			// A day some months off is told of beforehand; a later one was last year's.
			if t.Sub(published) < 120*24*time.Hour {
				return
			}
			t = t.AddDate(-1, 0, 0)
		}
		if !t.After(soon) {
			out = append(out, t)
		}
	}
	for _, m := range englishDate.FindAllStringSubmatch(text, -1) {
		add(m[3], months[m[1]], m[2])
	}
	for _, m := range hanDate.FindAllStringSubmatch(text, -1) {
		month, _ := strconv.Atoi(m[2])
		add(m[1], month, m[3])
	}
	return out
}

// freshness is how long after an event an item on it is still news.
const freshness = 9 * 24 * time.Hour

// event is the day that the item is about, as far as its dates say: the latest
// that lies before its publication. old reports that all of them are stale.
func event(text string, published time.Time) (at time.Time, old bool) {
	for _, d := range dates(strings.ToLower(text), published) {
		if d.After(at) {
			at = d
		}
	}
	return at, !at.IsZero() && published.Sub(at) > freshness
}
