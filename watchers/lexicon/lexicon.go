// Package lexicon finds names, words and quantities in a text, with their
// positions. Latin entries match whole words; entries of scripts without
// spaces match anywhere. Width, case, hyphens and traditional and simplified
// characters are folded on both sides.
package lexicon

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Entry is a name or word to find, and what it is told by: any value that the
// caller knows it again by. A word that ends in * matches any word that begins so.
type Entry struct {
	Word  string
	Class string
}

// Mention is where an entry was found: bytes Start to End of the text.
type Mention struct {
	Class      string
	Word       string // as the entry has it
	Start, End int
}

// Lexicon finds its entries. It is safe for concurrent use.
type Lexicon struct {
	// entries by the first bytes of their folded form, as many as there are
	// up to probe, longest entries first
	entries map[string][]entry
}

type entry struct {
	text string // folded, without the star
	stem bool
	Entry
}

// probe is how many bytes of a word choose the entries to compare.
const probe = 4

// New makes a lexicon of entries. One without letters is left out.
func New(entries []Entry) *Lexicon {
	l := &Lexicon{entries: map[string][]entry{}}
	for _, e := range entries {
		word, stem := strings.CutSuffix(e.Word, "*")
		text := strings.TrimSuffix(Fold(word).Text, " ")
		if text == "" {
			continue
		}
		key := text[:min(len(text), probe)]
		l.entries[key] = append(l.entries[key], entry{text, stem, e})
	}
	for _, list := range l.entries {
		slices.SortStableFunc(list, func(a, b entry) int { return cmp.Compare(len(b.text), len(a.text)) })
	}
	return l
}

// Find returns every mention in f, in the order of where they start, longer
// ones first. Mentions may overlap: see Longest.
func (l *Lexicon) Find(f Folded) []Mention {
	var found []Mention
	s := f.Text
	for i := 0; i < len(s); {
		_, size := utf8.DecodeRuneInString(s[i:])
		if s[i] != ' ' && starts(s, i) {
			for n := min(probe, len(s)-i); n > 0; n-- {
				for _, e := range l.entries[s[i:i+n]] {
					end := i + len(e.text)
					if !strings.HasPrefix(s[i:], e.text) || (!e.stem && !ends(s, end)) {
						continue
					}
					for e.stem && !ends(s, end) {
						_, size := utf8.DecodeRuneInString(s[end:])
						end += size
					}
					start, stop := f.Span(i, end)
					found = append(found, Mention{e.Class, e.Word, start, stop})
				}
			}
		}
		i += size
	}
	slices.SortStableFunc(found, func(a, b Mention) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(b.End, a.End))
	})
	return found
}

// Longest leaves out the mentions that lie within a longer one.
func Longest(mentions []Mention) []Mention {
	var out []Mention
	for _, m := range mentions {
		if !slices.ContainsFunc(mentions, func(o Mention) bool {
			return o.Start <= m.Start && m.End <= o.End && o.End-o.Start > m.End-m.Start
		}) {
			out = append(out, m)
		}
	}
	return out
}
