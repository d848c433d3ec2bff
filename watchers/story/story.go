// Package story joins the tellings of one event: across outlets, languages and
// days. It counts the independent publishers among them and scores what they
// are worth together.
package story

import (
	"cmp"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/watchers/lexicon"
)

// Bounds of what a book remembers.
const (
	maxStories  = 300
	maxAge      = 120 * 24 * time.Hour // since a story was last told
	maxWhole    = 60
	maxEvidence = 12
	maxFrom     = 50
	maxUpdates  = 20 // tellings that change the story's card; more only count
	maxWords    = 64 // hashes of a title's words
)

// Telling is one item that tells of an event.
type Telling struct {
	Observation chokepoint.Observation
	Evidence    chokepoint.Evidence
	Owner       string    // who is behind its publisher
	At          time.Time // published
	Primary     bool

	// Keys name the event, such as "NVDA×LITE": a telling joins the last story
	// that has one of them and was told within Window.
	Keys   []string
	Window time.Duration

	// Parties are whom it is about. A telling that shares no key joins a story
	// of the same Group and a party in common whose words are alike.
	Group   string
	Parties []string
}

// Story is one event as far as it was told.
type Story struct {
	ID       chokepoint.StoryID         `json:"id"`
	Keys     []string                   `json:"keys"`
	Group    string                     `json:"group,omitempty"`
	Parties  []string                   `json:"parties,omitempty"`
	Words    []uint32                   `json:"words,omitempty"` // hashes of the first telling's words, in order
	First    time.Time                  `json:"first"`           // published
	Last     time.Time                  `json:"last"`
	Seen     time.Time                  `json:"seen"`
	Happened time.Time                  `json:"happened,omitzero"`
	Sources  int                        `json:"sources"`
	Owners   []string                   `json:"owners"`
	Primary  bool                       `json:"primary,omitempty"`
	Updates  int                        `json:"updates"` // alerts given
	Silent   bool                       `json:"silent,omitempty"`
	Evidence []chokepoint.Evidence      `json:"evidence"`
	From     []chokepoint.ObservationID `json:"from"`
	Facts    chokepoint.Facts           `json:"facts,omitempty"`
}

// Book is what a judge remembers of stories, the last told last.
type Book struct {
	Stories []*Story `json:"stories"`
}

// Join puts t into its story, or begins one. first reports that it began one;
// again that this very telling was joined before, and nothing was changed.
// A story that begins with history is silent: it is never announced.
func (b *Book) Join(topic chokepoint.Topic, t Telling, history bool) (s *Story, first, again bool) {
	words := hashes(t.Evidence.Title)
	if s = b.find(t, words); s == nil {
		first = true
		s = &Story{
			ID: chokepoint.NewStoryID(string(topic), string(t.Observation.ID)), Group: t.Group, Words: words,
			First: t.At, Seen: t.Observation.Seen, Silent: history, Facts: chokepoint.Facts{},
		}
	} else if slices.Contains(s.From, t.Observation.ID) {
		return s, false, true
	}
	if s.Facts == nil { // it had none when it was saved
		s.Facts = chokepoint.Facts{}
	}
	b.Stories = append(slices.DeleteFunc(b.Stories, func(o *Story) bool { return o == s || t.At.Sub(o.Last) > maxAge }), s)
	b.Stories = b.Stories[max(0, len(b.Stories)-maxStories):]
	if old := len(b.Stories) - maxWhole; old > 0 { // of stories that are no longer told, a few documents are enough
		b.Stories[old-1].Evidence = b.Stories[old-1].Evidence[:min(len(b.Stories[old-1].Evidence), 3)]
	}
	if t.At.After(s.Last) {
		s.Last = t.At
	}
	s.Sources++
	s.Primary = s.Primary || t.Primary
	s.Keys = union(s.Keys, t.Keys, 12)
	s.Parties = union(s.Parties, t.Parties, 12)
	s.Owners = union(s.Owners, []string{t.Owner}, 30)
	if len(s.From) < maxFrom {
		s.From = append(s.From, t.Observation.ID)
	}
	s.tell(t)
	return s, first, false
}

// tell adds the evidence: primary first, then by time; the latest of the others
// give way when there are too many.
func (s *Story) tell(t Telling) {
	e := t.Evidence
	e.Primary = e.Primary || t.Primary
	s.Evidence = append(s.Evidence, e)
	slices.SortStableFunc(s.Evidence, func(a, b chokepoint.Evidence) int {
		if a.Primary != b.Primary {
			return map[bool]int{true: -1, false: 1}[a.Primary]
		}
		return a.Published.Compare(b.Published)
	})
	s.Evidence = s.Evidence[:min(len(s.Evidence), maxEvidence)]
}

func union(have, more []string, n int) []string {
	for _, m := range more {
		if !slices.Contains(have, m) && len(have) < n {
			have = append(have, m)
		}
	}
	return have
}

// find is the story that t belongs to, the last told first; nil if none.
func (b *Book) find(t Telling, words []uint32) *Story {
	common := func(a, b []string) bool {
		return slices.ContainsFunc(a, func(k string) bool { return slices.Contains(b, k) })
	}
	near := func(s *Story, window time.Duration) bool {
		return t.At.Sub(s.Last) <= window && s.First.Sub(t.At) <= window
	}
	for _, s := range slices.Backward(b.Stories) {
		if slices.Contains(s.From, t.Observation.ID) || near(s, t.Window) && common(s.Keys, t.Keys) {
			return s
		}
	}
	for _, s := range slices.Backward(b.Stories) {
		if s.Group == t.Group && near(s, t.Window) && (common(s.Parties, t.Parties) || len(s.Parties)+len(t.Parties) == 0) && Alike(s.Words, words) >= 0.4 {
			return s
		}
	}
	return nil
}

// hashes are the text's words, and pairs of characters where the script has no
// spaces, as sorted hashes without repeats.
func hashes(text string) []uint32 {
	var out []uint32
	add := func(s string) {
		h := fnv.New32a()
		h.Write([]byte(s))
		out = append(out, h.Sum32())
	}
	folded := lexicon.Fold(text).Text
	for w := range strings.FieldsFuncSeq(folded, func(r rune) bool { return strings.ContainsRune(" ,.:;!?'\"()|/·、；：！？“”", r) }) {
		rs := []rune(w)
		if len(rs) < 2 || rs[0] < 0x2E80 {
			add(w)
			continue
		}
		for i := range len(rs) - 1 {
			add(string(rs[i : i+2]))
		}
	}
	slices.Sort(out)
	out = slices.Compact(out)
	return out[:min(len(out), maxWords)]
}

// Alike is the Jaccard index of two sorted sets, 0 to 1.
func Alike(a, b []uint32) float64 {
	both := 0
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch c := cmp.Compare(a[i], b[j]); {
		case c == 0:
			both, i, j = both+1, i+1, j+1
		case c < 0:
			i++
		default:
			j++
		}
	}
	return float64(both) / float64(max(len(a)+len(b)-both, 1))
}

// Score weighs a story whose event matters so much, 0-100. Sources that only
// pass on a rumour are trusted less.
func (s *Story) Score(importance int, rumour bool) (score int, parts chokepoint.Scores) {
	n := len(s.Owners)
	parts = chokepoint.Scores{Importance: importance, Credibility: min(45+10*n, 80), Corroboration: []int{0, 20, 50, 70, 85}[min(n, 4)]}
	switch {
	case s.Primary:
		parts.Credibility = 95
	case rumour:
		parts.Credibility = min(20+10*n, 50)
	}
	if s.Primary {
		parts.Corroboration = max(parts.Corroboration, 50)
	}
	return (parts.Importance*50 + parts.Credibility*30 + parts.Corroboration*20) / 100, parts
}

// Alert is the story's next telling, as far as the story knows it: the caller
// adds what it means. ok is false if there is none to give: the story is
// silent, or was told often enough and this escalates nothing.
func (s *Story) Alert(topic chokepoint.Topic, now time.Time, importance int, rumour, escalate bool) (a chokepoint.Alert, ok bool) {
	if s.Silent || s.Updates > maxUpdates && !escalate {
		return a, false
	}
	score, parts := s.Score(importance, rumour)
	a = chokepoint.Alert{
		ID: s.ID.Alert(s.Updates), Story: s.ID, Update: s.Updates, Escalate: escalate && s.Updates > 0, Topic: topic,
		Score: score, Scores: parts, Headline: s.Evidence[0].Title, Happened: s.Happened, Seen: s.Seen, At: now,
		Facts: chokepoint.Facts{}, Evidence: slices.Clone(s.Evidence), Sources: s.Sources, Owners: len(s.Owners), From: slices.Clone(s.From),
	}
	s.Updates++
	return a, true
}
