package commands

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/chokepoint-bot/chokepoint/bot"
	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/internal/i18n"
)

// alerts is what was said last, to everyone or to this chat.
func (r *request) alerts() (bot.Answer, error) {
	q := chokepoint.AlertQuery{Chat: r.chat.ID, N: 10}
	title := r.t("commands.alerts.title")
	if len(r.args) > 0 {
		t, err := r.topic(r.args[0])
		if err != nil {
			return bot.Answer{}, err
		}
		if t == chokepoint.TopicOps && !r.chat.Follows(t) {
			return bot.Answer{}, mistake("operators")
		}
		q.Topic = t
		title += " · " + string(t)
	} else {
		q.N = 30 // operators' news is left out below
	}
	all, err := r.Desk.Alerts(r.ctx, q)
	if err != nil {
		return bot.Answer{}, err
	}
	m := bot.Message{Title: title}
	for _, a := range all {
		if !r.maySee(a) || q.Topic == "" && a.Topic == chokepoint.TopicOps || len(m.Lines) == 10 {
			continue
		}
		m.Lines = append(m.Lines, r.alertLine(a))
	}
	if len(m.Lines) == 0 {
		m.Lines = append(m.Lines, bot.Text(r.t("commands.alerts.none")))
	} else {
		m.Footer = r.t("commands.alerts.footer")
	}
	return said(m)
}

// alertLine is an alert's ID, age and headline.
func (r *request) alertLine(a chokepoint.Alert) bot.Line {
	return bot.Labelled(string(a.ID), r.ago(a.At)+" · "+clip(r.Render.Headline(&a, r.lang), 160))
}

// maySee says whether the chat may see a: it is for everyone, or for this
// chat; operators' news is for those who follow it.
func (r *request) maySee(a chokepoint.Alert) bool {
	if a.Topic == chokepoint.TopicOps && !r.chat.Follows(chokepoint.TopicOps) {
		return false
	}
	return len(a.Only) == 0 || slices.Contains(a.Only, r.chat.ID)
}

// find is the alert of an ID, or the last of a story. What the chat may not
// see is not found.
func (r *request) find(id string) (chokepoint.Alert, error) {
	id = strings.ToLower(strings.Trim(id, "#?,."))
	missing := mistake("no-alert", i18n.Args{"ID": clip(id, 20)})
	if len(id) > 20 {
		return chokepoint.Alert{}, missing
	}
	a, err := r.Desk.Alert(r.ctx, chokepoint.AlertID(id))
	if errors.Is(err, chokepoint.ErrNotFound) {
		story, err := r.Desk.Alerts(r.ctx, chokepoint.AlertQuery{Story: chokepoint.StoryID(id), Chat: r.chat.ID, N: 1})
		if err != nil {
			return chokepoint.Alert{}, err
		}
		if len(story) == 0 {
			return chokepoint.Alert{}, missing
		}
		a = story[0]
	} else if err != nil {
		return chokepoint.Alert{}, err
	}
	if !r.maySee(a) {
		return chokepoint.Alert{}, missing
	}
	return a, nil
}

// why is what made an alert fire: reasons, figures, times and sources.
func (r *request) why() (bot.Answer, error) {
	a, err := r.find(r.args[0])
	if err != nil {
		return bot.Answer{}, err
	}
	m := bot.Message{Title: r.Render.Headline(&a, r.lang)}
	if a.Drill {
		m.Lines = append(m.Lines, bot.Text(r.t("commands.why.drill")))
	}
	for i, reason := range a.Why {
		label := ""
		if i == 0 {
			label = r.t("commands.label.because")
		}
		m.Lines = append(m.Lines, bot.Labelled(label, r.Render.Reason(reason, r.lang)))
	}
	m.Lines = append(m.Lines, bot.Labelled(r.t("commands.label.score"), r.t("commands.why.scores", i18n.Args{
		"Score": a.Score, "Importance": a.Scores.Importance, "Credibility": a.Scores.Credibility, "Corroboration": a.Scores.Corroboration,
	})))
	var times []string
	if !a.Happened.IsZero() {
		times = append(times, r.t("commands.why.happened", i18n.Args{"At": r.clock(a.Happened)}))
	}
	times = append(times, r.t("commands.why.seen", i18n.Args{"At": r.clock(a.Seen)}), r.t("commands.why.judged", i18n.Args{"At": r.clock(a.At)}))
	m.Lines = append(m.Lines, bot.Labelled(r.t("commands.label.times"), strings.Join(times, " · ")))
	for _, c := range r.Thesis.Catalysts {
		if c.ID == a.Catalyst {
			m.Lines = append(m.Lines, bot.Labelled(r.t("commands.label.catalyst"), c.Title.In(r.lang)))
		}
	}
	for _, note := range a.Risks {
		title := note.ID
		for _, k := range r.Thesis.Risks {
			if k.ID == note.ID {
				title = k.Title.In(r.lang)
			}
		}
		m.Lines = append(m.Lines, bot.Labelled(r.t("commands.label.cold"),
			strings.Join(compact(title, stateOrNone(r, note.State), r.Render.Reading(note.Facts, r.lang)), " · ")))
	}
	if a.Sources > 0 {
		m.Lines = append(m.Lines, bot.Labelled(r.t("commands.label.sources"), r.t("commands.why.sources", i18n.Args{"Count": a.Sources, "Owners": a.Owners})))
	}
	for _, e := range a.Evidence {
		m.Lines = append(m.Lines, r.evidence(e))
	}
	m.Footer = r.t("commands.why.footer", i18n.Args{"Alert": a.ID, "Topic": a.Topic})
	m.Actions = r.voteActions(a.ID)
	return said(m)
}

func stateOrNone(r *request, s string) string {
	if s == "" {
		return ""
	}
	return r.state(s)
}

func (r *request) voteActions(id chokepoint.AlertID) []bot.Action {
	return []bot.Action{
		{Label: r.t("commands.action.useful"), Command: "/useful " + string(id)},
		{Label: r.t("commands.action.noise"), Command: "/noise " + string(id)},
	}
}

// discuss asks the platform for a thread under a story's message.
func (r *request) discuss() (bot.Answer, error) {
	a, err := r.find(r.args[0])
	if err != nil {
		return bot.Answer{}, err
	}
	p, err := r.Desk.Posting(r.ctx, r.chat.ID, a.Story)
	if err != nil {
		return bot.Answer{}, r.notFound(err, "not-posted", i18n.Args{"ID": a.Story})
	}
	headline := r.Render.Headline(&a, r.lang)
	text := r.t("commands.discuss.open", i18n.Args{"Story": a.Story})
	if p.Thread != "" {
		text = r.t("commands.discuss.there", i18n.Args{"Story": a.Story})
	}
	return bot.Answer{
		Message: bot.Message{Lines: []bot.Line{bot.Text(text)}},
		Discuss: a.Story, Thread: clip(headline, 90),
	}, nil
}

func (r *request) useful() (bot.Answer, error) { return r.vote("useful") }
func (r *request) noise() (bot.Answer, error)  { return r.vote("noise") }

// vote records a person's verdict on an alert: one each, the last counts.
// "verdict:<alert>:<platform>:<user>" is the person's, "verdicts:<alert>" the
// count as "useful noise".
func (r *request) vote(verdict string) (bot.Answer, error) {
	a, err := r.find(r.args[0])
	if err != nil {
		return bot.Answer{}, err
	}
	r.writing.Lock()
	defer r.writing.Unlock()
	mine := fmt.Sprintf("verdict:%s:%s:%s", a.ID, r.in.Chat.Platform, clip(r.in.User, 64))
	total := "verdicts:" + string(a.ID)
	was, err := r.Desk.Mark(r.ctx, mine)
	if err != nil {
		return bot.Answer{}, err
	}
	count, err := r.Desk.Mark(r.ctx, total)
	if err != nil {
		return bot.Answer{}, err
	}
	n := map[string]int{}
	var useful, noise int
	if _, err := fmt.Sscanf(cmp.Or(count, "0 0"), "%d %d", &useful, &noise); err != nil {
		return bot.Answer{}, fmt.Errorf("commands: read %s: %w", total, err)
	}
	n["useful"], n["noise"] = useful, noise
	if was != verdict {
		n[was] = max(n[was]-1, 0)
		n[verdict]++
		// The person's first: if the count fails, voting again mends nothing,
		// and miscounts by one; the other way round one could vote for ever.
		if err := r.Desk.PutMark(r.ctx, mine, verdict); err != nil {
			return bot.Answer{}, err
		}
		if err := r.Desk.PutMark(r.ctx, total, fmt.Sprintf("%d %d", n["useful"], n["noise"])); err != nil {
			return bot.Answer{}, err
		}
	}
	return said(bot.Message{Lines: []bot.Line{bot.Text(r.t("commands.vote."+verdict, i18n.Args{
		"Alert": a.ID, "Useful": n["useful"], "Noise": n["noise"],
	}))}})
}
