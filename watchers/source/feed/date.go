package feed

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// zones are the names that feeds write, as RFC 822 and custom have them.
// https://www.rfc-editor.org/rfc/rfc822#section-5
var zones = map[string]string{
	"UT": "+0000", "UTC": "+0000", "GMT": "+0000", "Z": "+0000", "WET": "+0000",
	"EST": "-0500", "EDT": "-0400", "CST": "-0600", "CDT": "-0500", "MST": "-0700", "MDT": "-0600", "PST": "-0800", "PDT": "-0700", "ET": "-0500",
	"BST": "+0100", "CET": "+0100", "MEZ": "+0100", "WEST": "+0100", "CEST": "+0200", "MESZ": "+0200", "EET": "+0200", "EEST": "+0300",
	"IST": "+0530", "HKT": "+0800", "SGT": "+0800", "JST": "+0900", "KST": "+0900", "AEST": "+1000", "AEDT": "+1100",
}

// months in the languages of the companies followed, beside English.
var months = strings.NewReplacer(
	"januari", "Jan", "februari", "Feb", "mars", "Mar", "maj", "May", "juni", "Jun", "juli", "Jul", "augusti", "Aug", "oktober", "Oct",
	"okt", "Oct", "Sept ", "Sep ", "Sept.", "Sep",
)

var (
	weekday  = regexp.MustCompile(`(?i)^\s*(?:(?:mon|tue|wed|thu|fri|sat|sun|mån|tis|ons|tors|fre|lör|sön)\p{L}*\.?,?|(?:星期|週|周)[一二三四五六日天],?|[(（][一二三四五六日月火水木金土][)）])\s*`)
	zoneName = regexp.MustCompile(`(?i)(?:\s|\b)\(?([a-z]{1,4})\)?$`)
	offsetAt = regexp.MustCompile(`(?:GMT|UTC)?\s?([+-])(\d{1,2}):?(\d{2})(?:\s*\([^)]*\))?$`)
	han      = regexp.MustCompile(`(\d{2,4})\s*年\s*(\d{1,2})\s*月\s*(\d{1,2})\s*日?\s*(上午|下午|午前|午後)?\s*(?:(\d{1,2})\s*[:時时點点]\s*(\d{1,2})?\s*(?:分|:(\d{1,2}))?)?`)
	leap     = regexp.MustCompile(`:60\b`)
)

var layouts = []string{
	"2 Jan 2006 15:04:05", "2 Jan 2006 15:04", "2 January 2006 15:04:05", "2 January 2006 15:04", "2 Jan 06 15:04:05", "2 Jan 06 15:04", "2-Jan-2006 15:04:05", "2-Jan-06 15:04:05",
	"Jan 2 2006 15:04:05", "Jan 2 2006 15:04", "January 2 2006 15:04:05", "January 2 2006 15:04", "Jan 2 2006 3:04 PM", "January 2 2006 3:04 PM", "Jan 2 15:04:05 2006",
	"2006-1-2 15:04:05", "2006-1-2 15:04", "2006/1/2 15:04:05", "2006/1/2 15:04", "2006.1.2 15:04:05", "2006.1.2 15:04", "20060102 150405", "1/2/2006 15:04:05", "1/2/2006 3:04:05 PM", "1/2/2006 3:04 PM", "1/2/2006 15:04",
	"2 Jan 2006 3:04 PM", "2 Jan 2006 3:04:05 PM", "2 January 2006 3:04 PM",
	"2 Jan 2006", "2 January 2006", "Jan 2 2006", "January 2 2006", "2006-1-2", "2006/1/2", "2006.1.2", "20060102", "1/2/2006",
}

// parseDate reads a date in any of the forms that feeds use. Without a zone it
// is of UTC; forms in Chinese characters are of Taipei and Beijing, or of Tokyo
// if japanese. False for what is no date, and for dates before the web.
func parseDate(s string, japanese bool) (time.Time, bool) {
	s = leap.ReplaceAllString(strings.Join(strings.Fields(s), " "), ":59")
	if s == "" || len(s) > 100 {
		return time.Time{}, false
	}
	at, ok := parseWestern(s)
	if !ok {
		at, ok = parseHan(s, japanese)
	}
	if !ok || at.Year() < 1991 || at.Year() > 2200 {
		return time.Time{}, false
	}
	return at.UTC(), true
}

func parseWestern(s string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05", "2006-01-02T15:04", "20060102T150405Z"} {
		if at, err := time.Parse(layout, s); err == nil {
			return at, true
		}
	}
	s = weekday.ReplaceAllString(s, "")
	offset := time.Duration(0)
	if m := offsetAt.FindStringSubmatchIndex(s); m != nil && strings.ContainsAny(s[:m[0]], ": ") {
		hours, _ := strconv.Atoi(s[m[4]:m[5]]) // digits, by the expression
		minutes, _ := strconv.Atoi(s[m[6]:m[7]])
		offset = time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute
		if s[m[2]:m[3]] == "-" {
			offset = -offset
		}
		s = s[:m[0]]
	} else if m := zoneName.FindStringSubmatchIndex(s); m != nil {
		if zone, ok := zones[strings.ToUpper(s[m[2]:m[3]])]; ok {
			hours, _ := strconv.Atoi(zone[:3])
			minutes, _ := strconv.Atoi(zone[3:])
			offset = time.Duration(hours) * time.Hour
			if minutes != 0 { // of these, only east of Greenwich
				offset += time.Duration(minutes) * time.Minute
			}
			s = s[:m[0]]
		}
	}
	// A zone's name may stand before its offset too.
	if m := zoneName.FindStringSubmatchIndex(strings.TrimSpace(s)); m != nil {
		if _, ok := zones[strings.ToUpper(strings.TrimSpace(s)[m[2]:m[3]])]; ok {
			s = strings.TrimSpace(s)[:m[0]]
		}
	}
	s = months.Replace(strings.TrimSpace(strings.ReplaceAll(strings.ReplaceAll(s, ",", " "), " at ", " ")))
	s = strings.Join(strings.Fields(s), " ")
	for _, suffix := range []string{"am", "pm", "a.m.", "p.m."} {
		if strings.HasSuffix(strings.ToLower(s), suffix) {
			s = strings.TrimSpace(s[:len(s)-len(suffix)]) + " " + strings.ToUpper(strings.ReplaceAll(suffix, ".", ""))
			break
		}
	}
	if whole, frac, ok := strings.Cut(s, "."); ok && strings.Count(whole, ":") == 2 {
		s = whole + strings.TrimLeft(frac, "0123456789")
	}
	for _, layout := range layouts {
		if at, err := time.Parse(layout, s); err == nil {
			return at.Add(-offset), true
		}
	}
	return time.Time{}, false
}

// parseHan reads 2026年11月20日 下午3:05 and its like. Taiwan's years count from
// 1911.
func parseHan(s string, japanese bool) (time.Time, bool) {
	m := han.FindStringSubmatch(s)
	if m == nil {
		return time.Time{}, false
	}
	n := func(i int) int {
		v, _ := strconv.Atoi(m[i]) // digits or nothing, by the expression
		return v
	}
	year, hour := n(1), n(5)
	if year < 1000 {
		year += 1911
	}
	if (m[4] == "下午" || m[4] == "午後") && hour < 12 {
		hour += 12
	}
	if n(2) < 1 || n(2) > 12 || n(3) < 1 || n(3) > 31 || hour > 23 || n(6) > 59 || n(7) > 59 {
		return time.Time{}, false
	}
	zone := 8 * 3600
	if japanese {
		zone = 9 * 3600
	}
	return time.Date(year, time.Month(n(2)), n(3), hour, n(6), n(7), 0, time.FixedZone("", zone)), true
}
