package chokepoint

import (
	"crypto/sha256"
	"encoding/base32"
	"strconv"
	"strings"
	"time"
)

// StoryID names one event over its whole life: eight characters that people
// can type, such as "k7f3q2ma".
type StoryID string

// AlertID names one telling of a story: the story's ID for the first, then
// "k7f3q2ma-1", "k7f3q2ma-2" and so on. Publishing an ID twice publishes it
// once.
type AlertID string

// DeliveryID is unique per alert and chat.
type DeliveryID string

// crockford is the base32 alphabet without i, l, o and u, in lower case.
// https://www.crockford.com/base32.html
var crockford = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// ShortHash is n characters (at most 51) of a SHA-256 over parts, in
// Crockford's base32.
func ShortHash(n int, parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return crockford.EncodeToString(sum[:])[:n]
}

// NewStoryID makes the ID of the event that watcher first met in identity,
// such as the ID of an observation, or a rule's ID with the moment it fired.
func NewStoryID(watcher string, identity ...string) StoryID {
	return StoryID(ShortHash(8, append([]string{watcher}, identity...)...))
}

// Alert makes the ID of the story's n-th telling, from 0.
func (s StoryID) Alert(n int) AlertID {
	if n == 0 {
		return AlertID(s)
	}
	return AlertID(string(s) + "-" + strconv.Itoa(n))
}

// NewDeliveryID makes the ID of an alert's delivery to a chat.
func NewDeliveryID(a AlertID, c ChatID) DeliveryID {
	return DeliveryID(ShortHash(20, string(a), c.String()))
}

// Severity orders alerts. Quiet hours hold back all but Urgent.
type Severity uint8

const (
	Info Severity = iota
	Notice
	Urgent
)

// Direction is what an event means for the thesis.
type Direction int8

const (
	Negative Direction = -1
	Neutral  Direction = 0
	Positive Direction = 1 // a bullish alert: it must carry a risk
)

// AlertKind selects the wording. Each kind documents the facts it carries.
type AlertKind string

const (
	// AlertMilestone is a step of a site's expansion. Facts: site, company,
	// milestone, status, and where known jobs, area, invest, target, permit,
	// was, next.
	AlertMilestone AlertKind = "milestone"
	// AlertAgreement is an agreement that locks up supply. Facts: buyer,
	// supplier, sure, and where known product, amount, term, prepay,
	// capacity, exclusive.
	AlertAgreement AlertKind = "agreement"
	// AlertPrice is a price rule that fired. Facts: symbol, rule, condition,
	// price, currency, session, quoted, provider, and where they apply level,
	// change, span, from, high, low, delayed, madeup.
	AlertPrice AlertKind = "price"
	// AlertThesis is evidence that moves a catalyst or a risk. Facts: card,
	// kind ("catalyst" or "risk"), state, was, event.
	AlertThesis AlertKind = "thesis"
	// AlertOps tells operators that something works no more, or works again.
	// Facts: what ("source", "platform", "watcher", "store"), name, state
	// ("failing" or "recovered"), class, since, detail.
	AlertOps AlertKind = "ops"
	// AlertTest is a drill: `chokepoint test-alert`. No facts.
	AlertTest AlertKind = "test"
)

// Facts are the arguments of an alert's wording, by the names that its kind
// documents. Values are language-neutral: a name as its owner writes it, a
// member of a closed set ("groundbreaking"), a Decimal's text, money as
// "300000000 USD", a moment as RFC 3339, a day as YYYY-MM-DD, a span as Go
// writes durations or as "5y". Absent means unknown.
type Facts map[string]string

// The closed sets that facts draw from.
var (
	// Milestones of an expansion, in the order in which they are reached.
	Milestones = []string{"announced", "incentive", "lease", "permit", "groundbreaking", "construction", "equipment", "production"}
	// Statuses of a milestone.
	Statuses = []string{"planned", "done", "delayed", "cancelled", "denied"}
	// Sureties of an agreement, weakest first; "denied" ends it.
	Sureties = []string{"rumour", "reported", "confirmed", "filed", "denied"}
	// Products that an agreement is on.
	Products = []string{"cw-laser", "eml", "inp", "transceiver", "silicon-photonics", "fibre", "optics"}
	// CatalystStates and RiskStates are the states of those cards.
	CatalystStates = []string{"waiting", "reported", "moving", "done", "setback"}
	RiskStates     = []string{"normal", "elevated", "high"}
	// Readings are the values of the fact "reading" on a risk's card, each
	// with the facts it comes with; percentages are Decimals such as "412.3":
	//   runup     symbol, year (change in a year, %), mean200 (above the 200-day mean, %)
	//   swings    symbol, range (mean daily range of 20 days, %), days8 (days of 20 that moved 8 % or more), largest (%), largest_day
	//   evidence  count (in 90 days), worse, better, latest (day)
	//   macro     us10y (%), us10y_bp20 (change in 20 days, basis points), sox_high (below the 52-week high, %)
	Readings = []string{"runup", "swings", "evidence", "macro"}
)

// Alert is an opinion with its evidence. It holds facts, not prose, so that it
// can be worded in any language; it never changes once published: an update is
// a further alert of the same story.
type Alert struct {
	ID       AlertID   `json:"id"`
	Story    StoryID   `json:"story"`
	Update   int       `json:"update,omitempty"`   // 0 for the first telling, then 1, 2, …
	Escalate bool      `json:"escalate,omitempty"` // an update that speaks again; others only change the card
	Kind     AlertKind `json:"kind"`
	Topic    Topic     `json:"topic"`
	Severity Severity  `json:"severity"`
	Score    int       `json:"score"` // 0-100, how much it deserves attention; Scores says how it came about

	// Scores are the figures behind Score, each 0-100, and are never mixed in
	// the judging: how much it matters, how far its sources can be trusted,
	// and how many independent ones agree.
	Scores Scores `json:"scores"`

	Direction Direction       `json:"direction,omitempty"`
	Symbols   []Symbol        `json:"symbols,omitempty"`
	Headline  string          `json:"headline,omitempty"` // of the strongest evidence, verbatim: shown where Facts give no better line
	Happened  time.Time       `json:"happened,omitzero"`  // the event's own time; zero if unknown
	Seen      time.Time       `json:"seen"`               // when its first observation was fetched
	At        time.Time       `json:"at"`                 // the moment judged, not the moment sent
	Facts     Facts           `json:"facts,omitempty"`
	Evidence  []Evidence      `json:"evidence,omitempty"` // primary first, then by time; at most 12
	Sources   int             `json:"sources,omitempty"`  // how many tellings are known, which can be more than Evidence holds
	Owners    int             `json:"owners,omitempty"`   // how many independent publishers among them
	Catalyst  string          `json:"catalyst,omitempty"` // ID of the thesis's catalyst that it moves
	Risks     []RiskNote      `json:"risks,omitempty"`    // what stands against it; not empty if Direction is Positive
	Why       []Reason        `json:"why,omitempty"`      // what made it fire, for /why
	From      []ObservationID `json:"from,omitempty"`     // what it was judged on, at most 50
	Only      []ChatID        `json:"only,omitempty"`     // if set, owed to these chats and not to Topic's followers
	Expires   time.Time       `json:"expires,omitzero"`   // not worth sending after this; zero for never
	Drill     bool            `json:"drill,omitempty"`    // a test or a demonstration, and marked so
}

// Scores are the three figures behind an alert's score, each 0-100.
type Scores struct {
	Importance    int `json:"importance"`
	Credibility   int `json:"credibility"`
	Corroboration int `json:"corroboration"`
}

// RiskNote is a risk as an alert carries it: its ID in the thesis, and how it
// stood when the alert was judged. Judges give the ID; the tick fills in the
// rest from the board.
type RiskNote struct {
	ID    string `json:"id"`
	State string `json:"state,omitempty"` // as Card.State
	Facts Facts  `json:"facts,omitempty"` // as Card.Facts
}

// Reason is one step of why an alert fired: a key of the wording and its
// arguments, such as {"anchor", {"text": "Sugar Land", "as": "place"}}.
type Reason struct {
	Key  string `json:"key"`
	Args Facts  `json:"args,omitempty"`
}

// AlertQuery picks alerts. Zero fields do not restrict.
type AlertQuery struct {
	Topic Topic
	Story StoryID
	Chat  ChatID // only those that are for everyone or for this chat
	N     int    // at most; 0 is 10
}

// CardKind says what a Card stands for.
type CardKind string

const (
	CardCatalyst  CardKind = "catalyst"  // State: waiting, reported, moving, done, setback
	CardRisk      CardKind = "risk"      // State: normal, elevated, high
	CardSignal    CardKind = "signal"    // State: by the watcher that keeps it, such as a milestone
	CardAgreement CardKind = "agreement" // State: rumour, reported, confirmed, filed, denied; ID "BUYER×SUPPLIER" in symbols or names
	CardSite      CardKind = "site"      // State: the furthest milestone of an expansion
)

// Card is one line of the board: the live state of something the thesis
// follows. The board is what /status and /risks answer from.
type Card struct {
	Kind     CardKind   `json:"kind"`
	ID       string     `json:"id"` // the thesis's ID, unique within Kind
	State    string     `json:"state"`
	Trend    Direction  `json:"trend,omitempty"`    // rising, level or falling; for a risk, rising means worse
	Since    time.Time  `json:"since,omitzero"`     // of State
	Updated  time.Time  `json:"updated"`            // when last judged
	Latest   time.Time  `json:"latest,omitzero"`    // time of the newest evidence; zero if there is none
	Count    int        `json:"count,omitempty"`    // pieces of evidence in the last 90 days
	Facts    Facts      `json:"facts,omitempty"`    // live readings, by the names that the watcher documents
	Evidence []Evidence `json:"evidence,omitempty"` // newest first, at most 5
	Alert    AlertID    `json:"alert,omitempty"`    // the last alert on it
}
