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
	Signals   []Signal   `yaml:"signals"`
	Catalysts []Catalyst `yaml:"catalysts"`
	Risks     []Risk     `yaml:"risks"`
}

// Company is a party of the thesis.
type Company struct {
	Symbol chokepoint.Symbol `yaml:"symbol"`
	Name   Text              `yaml:"name"` // as alerts call it
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
