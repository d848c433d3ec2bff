package thesis

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

func TestTheBuiltinThesisIsWhole(t *testing.T) {
	th, err := Builtin("cw-laser")
	if err != nil {
		t.Fatal(err)
	}
	texts := []Text{th.Title, th.Claim}
	for _, c := range th.Companies {
		texts = append(texts, c.Name)
	}
	for _, c := range th.Catalysts {
		texts = append(texts, c.Title, c.Short, c.Why)
	}
	for _, r := range th.Risks {
		texts = append(texts, r.Title, r.Caution)
	}
	for _, s := range th.Signals {
		texts = append(texts, s.Title)
	}
	for _, text := range texts {
		if text[chokepoint.English] == "" || text[chokepoint.Chinese] == "" {
			t.Errorf("%v lacks a language", text)
		}
	}
	if len(th.Catalysts) != 5 || len(th.Risks) != 6 || len(th.Signals) != 2 || len(th.Agreements) != 4 {
		t.Errorf("%d catalysts, %d risks, %d signals, %d agreements", len(th.Catalysts), len(th.Risks), len(th.Signals), len(th.Agreements))
	}
}

func TestAnUnknownBuiltinIsNotFound(t *testing.T) {
	if _, err := Builtin("tulips"); !errors.Is(err, chokepoint.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

func TestLoadReadsTheFileThatABuiltinGives(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mine.yaml")
	if err := os.WriteFile(path, BuiltinSource(), 0o644); err != nil {
		t.Fatal(err)
	}
	th, err := Load(path)
	if err != nil || th.ID != "cw-laser" {
		t.Errorf("got %v, %v", th, err)
	}
	if th, err := Load("builtin:cw-laser"); err != nil || th.ID != "cw-laser" {
		t.Errorf("by its name: got %v, %v", th, err)
	}
}

func TestParseNamesEveryMistakeWithItsLine(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		want []string
	}{
		"an unknown field": {"id: a\ntitle: {en: A}\ncolour: red\n", []string{"t.yaml:3: "}},
		"two mistakes are both named": {
			"id: a\ntitle: {en: A}\ncatalysts:\n  - {id: x, title: {en: X}, short: {en: X}, against: [gone]}\n  - id: x\n    title: {en: Y}\n    short: {en: Y}\n",
			[]string{`t.yaml:4: catalyst "x" names the risk "gone"`, `t.yaml:5: id "x" appears twice`, `t.yaml:5: catalyst "x" names no risk`},
		},
		"a rule with words that nobody wrote": {
			"id: a\ntitle: {en: A}\nrisks: [{id: r, title: {en: R}, caution: {en: C}}]\nrules:\n  - {kind: k, card: r, when: [x+y]}\n",
			[]string{`t.yaml:5: rule "k" uses the words "x"`, `t.yaml:5: rule "k" uses the words "y"`},
		},
		"one name for two companies": {
			"id: a\ntitle: {en: A}\ncompanies:\n  - {symbol: A, name: {en: A}, aliases: [Same]}\n  - {symbol: B, name: {en: B}, aliases: [same]}\n",
			[]string{`t.yaml:5: the name "same" is A's too`},
		},
		"an empty file": {"{}\n", []string{"t.yaml:1: the thesis has no id", "t.yaml:1: the thesis has no title"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("t.yaml", []byte(tc.text))
			if err == nil {
				t.Fatal("no error")
			}
			for _, w := range tc.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("got %q, want it to hold %q", err, w)
				}
			}
		})
	}
}
