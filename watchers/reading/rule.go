package reading

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/internal/thesis"
	"github.com/chokepoint-bot/chokepoint/watchers/lexicon"
)

// applies says whether rule takes the page, and what that means.
func (r *Reader) applies(rule thesis.Rule, p *page, out *Reading, where map[chokepoint.Symbol][]lexicon.Mention) (chokepoint.Direction, bool) {
	parties := out.Companies
	if rule.Title {
		parties = out.InTitle
	}
	var concerned []chokepoint.Symbol
	for _, s := range parties {
		roles := r.th.Company(s).Roles
		if slices.ContainsFunc(rule.Company, func(want string) bool { return want == string(s) || slices.Contains(roles, want) }) {
			concerned = append(concerned, s)
		}
	}
	if len(rule.Company) > 0 && len(concerned) == 0 || slices.ContainsFunc(rule.Not, p.forbids) {
		return 0, false
	}
	if rule.Percent > 0 {
		size, up, ok := p.move(rule, concerned, where)
		if !ok {
			return 0, false
		}
		out.Percent = size
		return map[bool]chokepoint.Direction{true: chokepoint.Neutral, false: rule.Polarity}[up], true
	}
	if !slices.ContainsFunc(rule.When, p.hasAll) {
		return 0, false
	}
	if slices.ContainsFunc(rule.Reverse, p.has) {
		return -rule.Polarity, true
	}
	return rule.Polarity, true
}

// elsewhere are words beside a percentage that make it no move of a day.
var elsewhere = regexp.MustCompile(`(?i)month|this year|yearly|year-to-date|year to date|volume|revenue|sales|growth|yield|capacity|market share|coupon|notes due|target|营收|營收|年增|月增|季增|产能|產能|殖利率|成交|毛利|below|above`)

// move finds the largest move of a day of at least rule.Percent among those of
// the concerned companies, or a locked limit beside one of them.
func (p *page) move(rule thesis.Rule, concerned []chokepoint.Symbol, where map[chokepoint.Symbol][]lexicon.Mention) (size float64, up, ok bool) {
	near := func(class string, start, end int) bool { return within(p.classes[class], start, end) }
	for _, pc := range lexicon.Percents(p.folded) {
		if pc.Value < float64(rule.Percent) || pc.Value >= 95 {
			continue
		}
		from, to := p.clause(pc.Start, 70)
		if !near("up", from, to) && !near("down", from, to) && !near("swing", from, to) && p.original[max(pc.Start-1, 0)] != '+' {
			continue
		}
		if elsewhere.MatchString(p.original[from:to]) || pc.Value <= size {
			continue
		}
		s, e := p.sentence(pc.Start)
		beside := slices.ContainsFunc(concerned, func(c chokepoint.Symbol) bool { return within(where[c], s, e) || where[c][0].Start < p.title })
		if beside {
			size, up, ok = pc.Value, !near("down", from, to), true
		}
	}
	for _, m := range p.classes["limitup"] {
		from, to := p.clause(m.Start, 40)
		if !ok && slices.ContainsFunc(concerned, func(c chokepoint.Symbol) bool { return within(where[c], from, to) }) {
			size, up, ok = 10, !strings.Contains(m.Word, "跌"), true
		}
	}
	return size, up, ok
}

// clause is the part of the sentence within n bytes of byte i, cut at full
// commas.
func (p *page) clause(i, n int) (start, end int) {
	start, end = p.sentence(i)
	start, end = max(start, i-n), min(end, i+n)
	if j := strings.LastIndexAny(p.original[start:i], ";，、；"); j >= 0 {
		start += j
	}
	if j := strings.IndexAny(p.original[i:end], ";，、；"); j >= 0 {
		end = i + j
	}
	return start, end
}

// Primary reports whether the item is the issuer's own word, a filing, a
// regulator's or a city's.
func (r *Reader) Primary(it Item) bool {
	if it.Primary || it.Filing {
		return true
	}
	host := Host(it.URL)
	on := func(domains []string) bool {
		return slices.ContainsFunc(domains, func(d string) bool { return host == d || strings.HasSuffix(host, "."+d) })
	}
	named := func(names []string) bool {
		return slices.ContainsFunc(names, func(n string) bool {
			return strings.EqualFold(it.Publisher, n) || strings.Contains(it.Publisher, "("+n+")") || strings.HasPrefix(it.Publisher, n+" (")
		})
	}
	if on(r.th.Publishers.PrimaryDomains) || named(r.th.Publishers.Primary) {
		return true
	}
	for _, c := range r.th.Companies {
		if on(c.Domains) || named(c.Publishers) {
			return true
		}
	}
	return false
}

// Host is an address's host without "www.", in lower case; "" if it has none.
func Host(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return strings.TrimPrefix(strings.ToLower(u.Hostname()), "www.")
}

// Owner names who is behind a publisher: tellings of one owner count once.
func (r *Reader) Owner(it Item) string {
	host, name := Host(it.URL), strings.ToLower(strings.TrimSpace(it.Publisher))
	if it.Filing {
		return "sec.gov"
	}
	for _, family := range r.th.Publishers.Families {
		for _, f := range family {
			if f = strings.ToLower(f); f == name || f == host || strings.HasSuffix(host, "."+f) {
				return strings.ToLower(family[0])
			}
		}
	}
	if name != "" {
		return name
	}
	return host
}
