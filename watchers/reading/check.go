package reading

import (
	"fmt"
	"slices"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/thesis"
)

// Check tries the sentences of th on its own words: each company and rule must
// take what it says it must, and leave what it says it must not.
func Check(th *thesis.Thesis) []error {
	r := NewReader(th)
	read := func(s string) Reading {
		return r.Read(Item{Title: s, Published: time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)})
	}
	var found []error
	wrong := func(what, sentence string, must bool) {
		verb := map[bool]string{true: "does not take", false: "takes"}[must]
		found = append(found, fmt.Errorf("thesis: %s %s %q; change its words or the sentence", what, verb, sentence))
	}
	for _, c := range th.Companies {
		for must, sentences := range map[bool][]string{true: c.Must, false: c.Mustnt} {
			for _, s := range sentences {
				if slices.Contains(read(s).Companies, c.Symbol) != must {
					wrong("company "+string(c.Symbol), s, must)
				}
			}
		}
	}
	for _, rule := range th.Rules {
		for must, sentences := range map[bool][]string{true: rule.Must, false: rule.Mustnt} {
			for _, s := range sentences {
				if out := read(s); out.Has(rule.Kind) != must {
					wrong("rule "+rule.Kind, s, must)
				}
			}
		}
	}
	return found
}
