// Package thesis loads and checks a thesis file: what a group believes, whom
// it watches, and the words by which news on it is known. The CW-laser thesis
// is built in; another group writes its own.
package thesis

import "github.com/chokepoint-bot/chokepoint/internal/chokepoint"

// Text is a phrase in each language the program speaks. English must be there;
// another that is missing falls back to it.
type Text map[chokepoint.Language]string

// In is the phrase in lang.
func (t Text) In(lang chokepoint.Language) string {
	if s := t[lang]; s != "" {
		return s
	}
	return t[chokepoint.English]
}

// Thesis is what a group follows together.
type Thesis struct {
	ID    string `yaml:"id"`    // such as "cw-laser"
	Title Text   `yaml:"title"` // as /status heads it
	Claim Text   `yaml:"claim"` // the thesis in a few sentences

	Companies []Company  `yaml:"companies"`
	Others    []string   `yaml:"others"` // names of others, which look like a party's
	Signals   []Signal   `yaml:"signals"`
	Catalysts []Catalyst `yaml:"catalysts"`
	Risks     []Risk     `yaml:"risks"`

	Sites      []Site      `yaml:"sites"`
	Agreements []Agreement `yaml:"agreements"` // on record
	Publishers Publishers  `yaml:"publishers"`

	// Words are the terms by which news is read, by class. The reader knows
	// some classes by name ("deal", "recap", "product.eml"); rules name any.
	Words map[string][]string `yaml:"words"`
	Rules []Rule              `yaml:"rules"`
}

// Company is a party of the thesis.
type Company struct {
	Symbol chokepoint.Symbol `yaml:"symbol"`
	Name   Text              `yaml:"name"` // as alerts call it

	Aliases    []string `yaml:"aliases"`    // names that are this company's wherever they stand
	Ambiguous  []string `yaml:"ambiguous"`  // names that are words too: written with a capital, they count beside an anchor
	Anchors    []string `yaml:"anchors"`    // what makes its ambiguous names its own; the class "anchor" if empty
	Not        []string `yaml:"not"`        // phrases that hold its name and mean something else
	Roles      []string `yaml:"roles"`      // of the set Roles
	Domains    []string `yaml:"domains"`    // where it publishes itself
	Publishers []string `yaml:"publishers"` // what feeds call it as a publisher
	Must       []string `yaml:"must"`       // sentences that name it
	Mustnt     []string `yaml:"mustnt"`     // sentences that do not
}

// Roles of a company: who buys and sells under agreements, whose daily moves
// count as swings, and whose offerings and downgrades count.
var Roles = []string{"buyer", "supplier", "cloud", "swing", "watched", "substrate"}

// Site is a place of a company whose expansion is followed step by step.
type Site struct {
	ID        string            `yaml:"id"`
	Name      Text              `yaml:"name"`
	Company   chokepoint.Symbol `yaml:"company"`
	Catalyst  string            `yaml:"catalyst"`  // the catalyst that its steps move
	Applicant []string          `yaml:"applicant"` // how permit lists begin its owner's name
	Places    []string          `yaml:"places"`    // names that are this site's
	Regions   []string          `yaml:"regions"`   // wider names, good enough beside the company's
	Not       []string          `yaml:"not"`       // places and names of others
}

// Agreement is one that is on record.
type Agreement struct {
	Buyer    chokepoint.Symbol `yaml:"buyer"`
	Supplier chokepoint.Symbol `yaml:"supplier"`
	Day      string            `yaml:"day"`     // YYYY-MM-DD
	Product  string            `yaml:"product"` // of chokepoint.Products
	Amount   string            `yaml:"amount"`  // such as "4000000000 USD"
	Term     string            `yaml:"term"`    // such as "5y"
	State    string            `yaml:"state"`   // of chokepoint.Sureties
	Title    string            `yaml:"title"`
}

// Publishers are what is known of those who tell.
type Publishers struct {
	Primary        []string   `yaml:"primary"`         // names of authorities and of wires that carry issuers' own words
	PrimaryDomains []string   `yaml:"primary_domains"` // and their domains
	Families       [][]string `yaml:"families"`        // names and domains of one owner each
}

// Rule says when an item is evidence for a card.
type Rule struct {
	Kind     string               `yaml:"kind"`     // the name of the evidence, such as "risk_supply"
	Card     string               `yaml:"card"`     // the catalyst or risk that it moves
	Company  []string             `yaml:"company"`  // symbols or roles, one of which must be named; none if empty
	Title    bool                 `yaml:"title"`    // the company must be named in the title
	When     []string             `yaml:"when"`     // alternatives: classes of words joined by "+", all in the text
	Not      []string             `yaml:"not"`      // classes that forbid it
	Percent  int                  `yaml:"percent"`  // a move of at least so many per cent must stand beside the words
	Polarity chokepoint.Direction `yaml:"polarity"` // what it means for the thesis
	Reverse  []string             `yaml:"reverse"`  // classes that turn the polarity
	Must     []string             `yaml:"must"`     // sentences that it takes
	Mustnt   []string             `yaml:"mustnt"`   // sentences that it leaves
}

// Company is the party with that symbol, or nil.
func (t *Thesis) Company(s chokepoint.Symbol) *Company {
	for i := range t.Companies {
		if t.Companies[i].Symbol == s {
			return &t.Companies[i]
		}
	}
	return nil
}

// Site is the site with that ID, or nil.
func (t *Thesis) Site(id string) *Site {
	for i := range t.Sites {
		if t.Sites[i].ID == id {
			return &t.Sites[i]
		}
	}
	return nil
}

// Against are the IDs of the risks that stand against a catalyst, strongest
// first; all risks if there is no such catalyst.
func (t *Thesis) Against(catalyst string) []string {
	for _, c := range t.Catalysts {
		if c.ID == catalyst {
			return c.Against
		}
	}
	var all []string
	for _, r := range t.Risks {
		all = append(all, r.ID)
	}
	return all
}

// Signal is one of the things to watch above all.
type Signal struct {
	ID      string           `yaml:"id"`
	Title   Text             `yaml:"title"`
	Watcher chokepoint.Topic `yaml:"watcher"` // whose cards answer it
}

// Catalyst is what the thesis waits for.
type Catalyst struct {
	ID      string              `yaml:"id"`
	Title   Text                `yaml:"title"`
	Short   Text                `yaml:"short"`   // at most 12 columns, for /status
	Why     Text                `yaml:"why"`     // the link of the chain that it moves, in one line
	Against []string            `yaml:"against"` // IDs of the risks that stand against it, strongest first; at least one
	Symbols []chokepoint.Symbol `yaml:"symbols"`
}

// Risk is what speaks against the thesis.
type Risk struct {
	ID      string              `yaml:"id"`
	Title   Text                `yaml:"title"`
	Caution Text                `yaml:"caution"` // what a bullish alert says of it, in one line
	Symbols []chokepoint.Symbol `yaml:"symbols"`
}
