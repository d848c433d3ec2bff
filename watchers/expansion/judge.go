// Package expansion follows a site's expansion step by step: what was
// announced, permitted, begun and finished, and what is late.
package expansion

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/internal/thesis"
	"github.com/chokepoint-bot/chokepoint/watchers"
	"github.com/chokepoint-bot/chokepoint/watchers/lexicon"
	"github.com/chokepoint-bot/chokepoint/watchers/reading"
	"github.com/chokepoint-bot/chokepoint/watchers/story"
)

// Judge tells the milestones of one site. It is not safe for concurrent use.
type Judge struct {
	th     *thesis.Thesis
	topic  chokepoint.Topic
	site   *thesis.Site
	signal string // the ID of the signal that it answers; "" if none
	reader *reading.Reader
}

// New makes the judge of the thesis's site with that ID, whose alerts are of
// topic. It keeps the site's card and that of the signal whose watcher topic is.
func New(th *thesis.Thesis, topic chokepoint.Topic, site string) (*Judge, error) {
	j := &Judge{th: th, topic: topic, site: th.Site(site), reader: reading.NewReader(th)}
	if j.site == nil {
		return nil, fmt.Errorf("expansion: the thesis %s has no site %q: %w", th.ID, site, chokepoint.ErrNotFound)
	}
	for _, s := range th.Signals {
		if s.Watcher == topic {
			j.signal = s.ID
		}
	}
	return j, nil
}

var _ watchers.Judge = (*Judge)(nil)

// memory is the judge's state.
type memory struct {
	story.Book
	Trail     story.Trail        `json:"trail"`
	Milestone string             `json:"milestone,omitempty"` // the furthest that was reached
	Status    string             `json:"status,omitempty"`
	Since     time.Time          `json:"since,omitzero"`
	Facts     chokepoint.Facts   `json:"facts,omitempty"`
	Alert     chokepoint.AlertID `json:"alert,omitempty"`
}

// Kinds are news, filings and permits.
func (j *Judge) Kinds() []chokepoint.Kind {
	return []chokepoint.Kind{chokepoint.KindNews, chokepoint.KindFiling, chokepoint.KindPermit}
}

// Judge tells each milestone once, and again when it escalates: its status or
// investment changes, or a primary source says it for the first time. Without
// a state it learns only. See watchers.Judge.
func (j *Judge) Judge(in watchers.Input) (watchers.Verdict, error) {
	mem := memory{}
	if in.State != nil {
		if err := json.Unmarshal(in.State, &mem); err != nil {
			return watchers.Verdict{}, fmt.Errorf("expansion: read the judge's state: %w", err)
		}
	}
	var v watchers.Verdict
	for _, o := range in.Observations {
		t, f, ok := j.step(o)
		if !ok {
			continue
		}
		if a, ok := j.tell(&mem, in, t, f); ok {
			v.Alerts = append(v.Alerts, a)
		}
	}
	v.Cards = j.cards(&mem, in.Now)
	state, err := json.Marshal(mem)
	if err != nil {
		return watchers.Verdict{}, fmt.Errorf("expansion: write the judge's state: %w", err)
	}
	v.State = state
	return v, nil
}

// A step is what a telling says of the site.
type step struct {
	facts   chokepoint.Facts
	reasons []chokepoint.Reason
	event   time.Time
}

// step is what o says of the site, if it does.
func (j *Judge) step(o chokepoint.Observation) (story.Telling, step, bool) {
	t := story.Telling{Observation: o, Evidence: story.EvidenceOf(o), Group: "site", Parties: []string{j.site.ID}}
	if o.Kind == chokepoint.KindPermit && o.Permit != nil {
		return j.permit(t, o.Permit)
	}
	it, ok := reading.Of(o)
	if !ok {
		return t, step{}, false
	}
	r := j.reader.Read(it)
	m := r.Milestone
	if m == nil || m.Site != j.site.ID {
		return t, step{}, false
	}
	f := chokepoint.Facts{"site": j.site.ID, "company": string(j.site.Company), "milestone": m.Milestone, "status": m.Status}
	if m.Jobs > 0 {
		f["jobs"] = strconv.Itoa(m.Jobs)
	}
	if m.Area > 0 {
		f["area"] = strconv.Itoa(m.Area)
	}
	if m.Invest != "" {
		f["invest"] = m.Invest
	}
	t.Owner, t.At, t.Primary = j.reader.Owner(it), it.Published, r.Primary
	t.Keys, t.Window = []string{m.Milestone}, 10*24*time.Hour
	if m.Milestone == "groundbreaking" || m.Milestone == "production" {
		t.Window = 45 * 24 * time.Hour
	}
	if m.Milestone == "announced" {
		t.Keys = []string{"site"} // "expands" is how any step is told too
	}
	return t, step{f, r.Reasons, r.Event}, true
}

// permit is what a row of a permit list says of the site. Its status is the
// agency's: words such as "denied" and "issued" decide, anything else is under
// way.
func (j *Judge) permit(t story.Telling, p *chokepoint.Permit) (story.Telling, step, bool) {
	applicant := lexicon.Fold(p.Applicant).Text
	if !slices.ContainsFunc(j.site.Applicant, func(a string) bool { return strings.HasPrefix(applicant, lexicon.Fold(a).Text) }) {
		return t, step{}, false
	}
	status := "planned"
	said := strings.ToLower(p.Status)
	for _, w := range [][2]string{{"denied", "denied"}, {"deny", "denied"}, {"withdrawn", "cancelled"}, {"void", "cancelled"}, {"issued", "done"}, {"approved", "done"}, {"granted", "done"}} {
		if strings.Contains(said, w[0]) {
			status = w[1]
			break
		}
	}
	f := chokepoint.Facts{"site": j.site.ID, "company": string(j.site.Company), "milestone": "permit", "status": status, "permit": p.Number}
	if p.Was != "" {
		f["was"] = p.Was
	}
	t.At = t.Observation.At
	if t.At.IsZero() {
		t.At = t.Observation.Seen
	}
	t.Owner, t.Primary, t.Keys, t.Window = "permits", true, []string{"permit " + p.List + " " + p.Number}, 4*365*24*time.Hour
	reason := chokepoint.Reason{Key: "expansion.permit", Args: chokepoint.Facts{"applicant": p.Applicant, "number": p.Number, "status": p.Status, "list": p.List}}
	return t, step{f, []chokepoint.Reason{reason}, time.Time{}}, true
}

// tell joins the telling to its story and words the alert that is due.
func (j *Judge) tell(mem *memory, in watchers.Input, t story.Telling, f step) (chokepoint.Alert, bool) {
	history := t.Observation.Backfill || in.State == nil
	s, first, again := mem.Join(j.topic, t, history)
	if again {
		return chokepoint.Alert{}, false
	}
	mem.Trail.Add(t.Evidence, t.At)
	escalate := j.merge(s, t, f, first)
	s.Keys = append(s.Keys, "site")
	slices.Sort(s.Keys)
	s.Keys = slices.Compact(s.Keys)
	if s.Happened.IsZero() {
		s.Happened = f.event
	}
	j.advance(mem, s, t.At)

	bad := slices.Contains([]string{"delayed", "cancelled", "denied"}, s.Facts["status"])
	a, ok := s.Alert(j.topic, in.Now, importance(s.Facts["milestone"], bad), false, escalate)
	if !ok {
		return a, false
	}
	a.Kind, a.Symbols, a.Catalyst, a.Severity, a.Direction = chokepoint.AlertMilestone, []chokepoint.Symbol{j.site.Company}, j.site.Catalyst, chokepoint.Notice, chokepoint.Positive
	if bad {
		a.Direction = chokepoint.Negative
	}
	if bad || importance(s.Facts["milestone"], bad) >= 85 {
		a.Severity = chokepoint.Urgent
	}
	for k, v := range s.Facts {
		if k != "primary" {
			a.Facts[k] = v
		}
	}
	if i := slices.Index(chokepoint.Milestones, s.Facts["milestone"]); !bad && i+1 < len(chokepoint.Milestones) {
		a.Facts["next"] = chokepoint.Milestones[i+1]
	}
	for _, r := range j.th.Against(j.site.Catalyst) {
		a.Risks = append(a.Risks, chokepoint.RiskNote{ID: r})
	}
	a.Why = append(slices.Clone(f.reasons), chokepoint.Reason{Key: "story.joined", Args: chokepoint.Facts{"sources": strconv.Itoa(s.Sources), "owners": strconv.Itoa(len(s.Owners))}})
	mem.Alert = a.ID
	return a, true
}

// merge puts what a telling says into its story's facts, and reports whether
// that is more than was said: another status, an investment, or a first primary
// source.
func (j *Judge) merge(s *story.Story, t story.Telling, f step, first bool) (escalate bool) {
	for _, k := range []string{"site", "company", "milestone", "status", "jobs", "area", "invest", "permit", "was"} {
		value, had := f.facts[k], s.Facts[k]
		if value == "" || value == had {
			continue
		}
		switch {
		case had == "":
			escalate = escalate || k == "invest"
		case k == "status":
			if value == "planned" && f.facts["permit"] == "" {
				continue // a telling of plans takes nothing back
			}
			escalate = true
		case k == "was":
			escalate = true
		default:
			continue // the first telling's figures stand
		}
		s.Facts[k] = value
	}
	if t.Primary && s.Facts["primary"] == "" {
		s.Facts["primary"] = "yes"
		escalate = true
	}
	return escalate && !first
}

// advance moves the site's state, which never goes back but for a step that
// fails.
func (j *Judge) advance(mem *memory, s *story.Story, at time.Time) {
	order := func(m string) int { return slices.Index(chokepoint.Milestones, m) }
	m, status := s.Facts["milestone"], s.Facts["status"]
	if order(m) < order(mem.Milestone) || m == mem.Milestone && status == mem.Status {
		return
	}
	mem.Milestone, mem.Status, mem.Since = m, status, at
	mem.Facts = chokepoint.Facts{"milestone": m, "status": status}
	for _, k := range []string{"jobs", "area", "invest", "permit"} {
		if s.Facts[k] != "" {
			mem.Facts[k] = s.Facts[k]
		}
	}
}

func importance(milestone string, bad bool) int {
	if bad {
		return 95
	}
	switch milestone {
	case "production":
		return 92
	case "groundbreaking", "permit":
		return 88
	case "announced":
		return 65
	}
	return 75
}

// cards are the site's and its signal's.
func (j *Judge) cards(mem *memory, now time.Time) []chokepoint.Card {
	c := chokepoint.Card{Kind: chokepoint.CardSite, ID: j.site.ID, State: mem.Milestone, Since: mem.Since, Facts: mem.Facts, Alert: mem.Alert}
	switch mem.Status {
	case "delayed", "cancelled", "denied":
		c.Trend = chokepoint.Negative
	case "done", "planned":
		c.Trend = chokepoint.Positive
	}
	mem.Trail.Put(&c, now)
	cards := []chokepoint.Card{c}
	if j.signal != "" {
		c.Kind, c.ID = chokepoint.CardSignal, j.signal
		cards = append(cards, c)
	}
	return cards
}
