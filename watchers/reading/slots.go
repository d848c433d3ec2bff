package reading

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/watchers/lexicon"
)

var (
	seated  = regexp.MustCompile(`(?:headquartered in|based in|located in|总部位于|總部位於) *$`)
	applied = regexp.MustCompile(`(?i)\bapplication|\bapplies for|\bapplied for|\bseeks\b|\bhearing|申请|申請|听证`) // of a permit that is not there yet
	planned = regexp.MustCompile(`(?i)\b(?:will|plans? to|expects? to|set to|intends? to|to) (?:break ground|begin|start|open|lease|build)|拟|计划|計劃|将于|將於`)
)

// milestonesFirst is the order in which a text that names several milestones
// is understood: what is said with particular words before what expansions are
// always said with.
var milestonesFirst = []string{"groundbreaking", "permit", "incentive", "equipment", "lease", "production", "construction", "announced"}

// milestone is the step of a site that the page tells of, or nil.
func (r *Reader) milestone(p *page, out Reading, where map[chokepoint.Symbol][]lexicon.Mention) *Milestone {
	for _, site := range r.th.Sites {
		if !slices.Contains(out.Companies, site.Company) || p.headed("column") && !p.has("milestone.equipment") {
			continue
		}
		var places []lexicon.Mention
		elsewhere := false
		for _, m := range lexicon.Longest(p.mentions) {
			switch m.Class {
			case "place:" + site.ID, "region:" + site.ID:
				dateline := m.Start == p.title+1 && !strings.Contains(p.original[m.Start:min(len(p.original), m.Start+80)], " facility")
				if !seated.MatchString(strings.ToLower(p.original[:m.Start])) && !dateline {
					places = append(places, m)
				}
			case "elsewhere:" + site.ID:
				elsewhere = true
			}
		}
		if len(places) == 0 || elsewhere && !slices.ContainsFunc(places, func(m lexicon.Mention) bool { return strings.HasPrefix(m.Class, "place:") }) {
			continue
		}
		for _, name := range milestonesFirst {
			ms := p.classes["milestone."+name]
			if !slices.ContainsFunc(ms, func(m lexicon.Mention) bool {
				start, end := p.sentence(m.Start)
				return m.Start < p.title || within(places, start, end) || within(where[site.Company], start, end) && name != "construction"
			}) {
				continue
			}
			out := &Milestone{Site: site.ID, Milestone: name, Status: "done", Jobs: lexicon.Jobs(p.folded), Area: lexicon.Area(p.folded)}
			head := p.original[:p.title]
			past := within(ms, 0, p.title) && !planned.MatchString(head)
			switch {
			case p.has("status.denied"):
				out.Status = "denied"
			case p.has("status.cancelled"):
				out.Status = "cancelled"
			case p.has("status.delayed"):
				out.Status = "delayed"
			case name == "permit" && applied.MatchString(p.original), planned.MatchString(p.original) && !past:
				out.Status = "planned"
			}
			out.Invest = largest(lexicon.Moneys(p.folded))
			return out
		}
	}
	return nil
}

// largest is the largest of the amounts in US dollars, as facts write it.
func largest(ms []lexicon.Money) string {
	var best lexicon.Money
	for _, m := range ms {
		if m.Currency == "USD" && m.Amount > best.Amount {
			best = m
		}
	}
	if best.Amount < million {
		return ""
	}
	return best.String()
}

var million = func() chokepoint.Decimal { d, _ := chokepoint.ParseDecimal("1000000"); return d }()

// agreement is the deal that the page tells of, or nil.
func (r *Reader) agreement(p *page, out Reading, where map[chokepoint.Symbol][]lexicon.Mention) *Agreement {
	if p.headed("column") || (p.has("dealnot") || p.has("offering")) && !p.has("cancel") {
		return nil
	}
	big := false
	for _, m := range lexicon.Moneys(p.folded) {
		big = big || m.Currency == "USD" && m.Amount >= 100*million
	}
	cancelled := p.has("cancel")
	invest := p.has("invest") && big
	if !p.has("deal") && !invest && !cancelled && !p.has("purchase") {
		return nil
	}
	told := slices.Concat(p.classes["deal"], p.classes["purchase"], p.classes["cancel"])
	if invest {
		told = append(told, p.classes["invest"]...)
	}
	has := func(s chokepoint.Symbol, role string) bool { return slices.Contains(r.th.Company(s).Roles, role) }
	inTitle := func(s chokepoint.Symbol) bool { return slices.Contains(out.InTitle, s) }
	beside := func(s chokepoint.Symbol) bool { // in a sentence that tells of the deal, or the title
		return inTitle(s) || slices.ContainsFunc(told, func(m lexicon.Mention) bool {
			start, end := p.sentence(m.Start)
			return within(where[s], start, end)
		})
	}
	var buyers, suppliers []chokepoint.Symbol
	for _, s := range out.Companies {
		switch {
		case !beside(s):
		case has(s, "buyer"):
			buyers = append(buyers, s)
		case has(s, "supplier"):
			suppliers = append(suppliers, s)
		}
	}
	// One that may be either sells to another buyer, and buys otherwise.
	if len(suppliers) == 0 && (p.has("product.silicon-photonics") || p.has("product.optics")) {
		for i, s := range buyers {
			if has(s, "supplier") && len(buyers) > 1 {
				suppliers, buyers = []chokepoint.Symbol{s}, slices.Delete(slices.Clone(buyers), i, i+1)
				break
			}
		}
	}
	if titled := slices.DeleteFunc(slices.Clone(suppliers), func(s chokepoint.Symbol) bool { return !inTitle(s) }); len(titled) > 0 {
		suppliers = titled
	}
	if titled := slices.DeleteFunc(slices.Clone(buyers), func(s chokepoint.Symbol) bool { return !inTitle(s) }); len(titled) > 0 {
		buyers = titled
	}
	if len(suppliers) == 0 {
		return nil
	}
	a := &Agreement{Cancelled: cancelled, More: within(p.classes["more"], 0, p.title)}
	switch {
	case len(buyers) > 0:
		a.Buyer = string(buyers[0])
	case p.has("unnamed") || p.has("purchase"):
		a.Buyer = Unnamed
	default:
		return nil
	}
	if out.Has("catalyst_amd") && len(out.InTitle) < 2 {
		return nil // negotiations that name no supplier; the capacity told of is others'
	}
	for _, s := range suppliers {
		a.Suppliers = append(a.Suppliers, string(s))
	}
	slices.Sort(a.Suppliers)
	for _, name := range chokepoint.Products {
		if p.has("product." + name) {
			a.Product = name
			break
		}
	}
	a.Amount = largest(lexicon.Moneys(p.folded))
	a.Term = lexicon.Term(p.folded)
	text := p.folded.Text
	switch {
	case strings.Contains(text, "nonexclusive") || strings.Contains(text, "non exclusive") || strings.Contains(text, "非独家") || strings.Contains(text, "非排他"):
		a.Exclusive = "no"
	case strings.Contains(text, "exclusive") || strings.Contains(text, "独家"):
		a.Exclusive = "yes"
	}
	switch {
	case cancelled || p.has("denial"):
		a.Sure = "denied"
	case p.item.Filing:
		a.Sure = "filed"
	case out.Primary:
		a.Sure = "confirmed"
	case p.has("rumour"):
		a.Sure = "rumour"
	default:
		a.Sure = "reported"
	}
	return a
}

// reasons are what was found, for people who ask why.
func (r *Reader) reasons(p *page, out Reading, where map[chokepoint.Symbol][]lexicon.Mention) []chokepoint.Reason {
	var rs []chokepoint.Reason
	for _, kind := range out.Kinds {
		rs = append(rs, chokepoint.Reason{Key: "reading.kind", Args: chokepoint.Facts{"kind": kind}})
	}
	for _, s := range out.Companies[:min(len(out.Companies), 4)] {
		m := where[s][0]
		rs = append(rs, chokepoint.Reason{Key: "reading.company", Args: chokepoint.Facts{"symbol": string(s), "text": p.original[m.Start:m.End]}})
	}
	seen := map[string]bool{}
	for _, m := range p.mentions {
		class, ok := strings.CutPrefix(m.Class, "word:")
		text := strings.ToLower(p.original[m.Start:m.End])
		if ok && class != "anchor" && !seen[text] && len(seen) < 6 {
			seen[text] = true
			rs = append(rs, chokepoint.Reason{Key: "reading.word", Args: chokepoint.Facts{"text": p.original[m.Start:m.End], "as": class}})
		}
	}
	if out.Percent > 0 {
		rs = append(rs, chokepoint.Reason{Key: "reading.move", Args: chokepoint.Facts{"percent": fmt.Sprintf("%g", out.Percent)}})
	}
	return rs
}
