package chokepoint

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"
)

// ObservationID is the lower-case hex of the first 16 bytes of a SHA-256 over
// a source's name and the identity of what it said. Equal IDs mean that the
// same source said the same thing; the journal keeps the first.
type ObservationID string

// NewObservationID makes the ID of what source said. identity is what stays
// the same when the source tells it again: an accession number, a feed's guid,
// a permit number with its status; never a fetch time.
func NewObservationID(source string, identity ...string) ObservationID {
	sum := sha256.Sum256([]byte(source + "\x00" + strings.Join(identity, "\x00")))
	return ObservationID(hex.EncodeToString(sum[:16]))
}

// Kind says which body an Observation carries.
type Kind string

const (
	KindNews   Kind = "news"
	KindFiling Kind = "filing"
	KindPermit Kind = "permit"
	KindQuote  Kind = "quote"
	KindBar    Kind = "bar"
)

// Observation is one thing a source said, before anyone had an opinion on it.
// Exactly one body is set: the one that Kind names.
type Observation struct {
	ID     ObservationID `json:"id"`
	Source string        `json:"source"` // configured name, such as "sec"
	Kind   Kind          `json:"kind"`
	At     time.Time     `json:"at"`   // when the source says it was published or happened; never after Seen; zero if the source gives no usable date
	Seen   time.Time     `json:"seen"` // when we fetched it

	// Backfill says that it was fetched as history, such as a year of bars on
	// the first visit: judges learn from it and announce nothing.
	Backfill bool `json:"backfill,omitempty"`

	News   *News   `json:"news,omitempty"`
	Filing *Filing `json:"filing,omitempty"`
	Permit *Permit `json:"permit,omitempty"`
	Quote  *Quote  `json:"quote,omitempty"`
	Bar    *Bar    `json:"bar,omitempty"`
}

// Evidence is a quotable piece of a public document.
type Evidence struct {
	URL       string    `json:"url"`                // http or https, "" if there is none
	Publisher string    `json:"publisher"`          // who published it, as people name them: "SEC", "GlobeNewswire"
	Title     string    `json:"title"`              // in the publisher's language, without markup, at most 300 runes
	Excerpt   string    `json:"excerpt,omitempty"`  // verbatim, without markup, at most 600 runes
	Published time.Time `json:"published,omitzero"` // zero if unknown
	Primary   bool      `json:"primary,omitempty"`  // the issuer, a filing, a regulator, a city or a government
	SHA256    string    `json:"sha256,omitempty"`   // of the fetched document, lower-case hex
}

// News is an item of a feed or a newswire.
type News struct {
	Evidence Evidence `json:"evidence"`
	Language string   `json:"language,omitempty"` // BCP 47, "" if the source does not say
	Symbols  []Symbol `json:"symbols,omitempty"`  // as the source tagged it
	Text     string   `json:"text,omitempty"`     // the readable body where the source carries one, at most 16,000 bytes
}

// Filing is one SEC submission.
type Filing struct {
	Evidence  Evidence `json:"evidence"`
	CIK       string   `json:"cik"`                // ten digits, zero padded
	Company   string   `json:"company"`            // as EDGAR writes it
	Symbol    Symbol   `json:"symbol"`             // the filer's first ticker, "" if none
	Accession string   `json:"accession"`          // 18 digits with dashes: "0001158114-26-000012"
	Form      string   `json:"form"`               // "8-K", "10-Q", "S-3ASR"
	Items     []string `json:"items,omitempty"`    // 8-K item numbers, such as "1.01"
	Text      string   `json:"text,omitempty"`     // readable text of the main document and its exhibits 10 and 99, at most 16,000 bytes
	Exhibits  []string `json:"exhibits,omitempty"` // their types, such as "EX-99.1", in the order of Text
}

// Permit is one row of an environmental-permit list, as it stands now.
type Permit struct {
	Evidence  Evidence `json:"evidence"`
	List      string   `json:"list"`   // which list: "nsr", "titlev", "notice"
	Number    string   `json:"number"` // the first token of the permit cell; the row's key
	Applicant string   `json:"applicant"`
	Facility  string   `json:"facility"`
	County    string   `json:"county,omitempty"`
	Received  string   `json:"received,omitempty"` // date of receipt, YYYY-MM-DD, "" if unknown
	Status    string   `json:"status"`             // as the agency words it; "" if it says nothing
	Was       string   `json:"was,omitempty"`      // its status before; "" for a row that is new
	Gone      bool     `json:"gone,omitempty"`     // the row left the list: issued, withdrawn or moved on
}

// Session is the part of the trading day that a quote comes from.
type Session string

const (
	SessionPre     Session = "pre"
	SessionRegular Session = "regular"
	SessionPost    Session = "post"
	SessionClosed  Session = "closed"
)

// Quote is a price at a moment. Prices are in Currency; an index is in points
// and has none.
type Quote struct {
	Symbol   Symbol        `json:"symbol"`
	Price    Decimal       `json:"price"`
	Prev     Decimal       `json:"prev,omitempty"` // previous regular close; zero if unknown
	Open     Decimal       `json:"open,omitempty"`
	High     Decimal       `json:"high,omitempty"` // of the session's day so far; zero if unknown
	Low      Decimal       `json:"low,omitempty"`
	Volume   int64         `json:"volume,omitempty"`   // shares of the day so far; zero if unknown
	Currency string        `json:"currency,omitempty"` // ISO 4217
	At       time.Time     `json:"at"`                 // of the trade, by the provider
	Seen     time.Time     `json:"seen"`
	Delayed  time.Duration `json:"delayed,omitempty"` // how late the venue's feed is by agreement; zero for real time
	Session  Session       `json:"session"`
	Zone     string        `json:"zone,omitempty"`    // the exchange's IANA zone
	Provider string        `json:"provider"`          // "yahoo", "nasdaq", "finnhub"
	MadeUp   bool          `json:"made_up,omitempty"` // a demonstration's invention, and shown as such
}

// Bar is one symbol's trading day.
type Bar struct {
	Symbol   Symbol  `json:"symbol"`
	Day      string  `json:"day"` // exchange-local trading date, YYYY-MM-DD
	Open     Decimal `json:"open"`
	High     Decimal `json:"high"`
	Low      Decimal `json:"low"`
	Close    Decimal `json:"close"`
	Volume   int64   `json:"volume,omitempty"`
	Currency string  `json:"currency,omitempty"`
	MadeUp   bool    `json:"made_up,omitempty"`
}

// Entry is an observation with its place in the journal.
type Entry struct {
	Position    Position
	Observation Observation
}
