package thesis

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

//go:embed cwlaser.yaml
var cwlaser []byte

// BuiltinSource is the text of the built-in thesis, to begin another from.
func BuiltinSource() []byte { return slices.Clone(cwlaser) }

// Builtin is the built-in thesis of that name: "cw-laser". Another name gives
// an error that wraps chokepoint.ErrNotFound.
func Builtin(name string) (*Thesis, error) {
	if name != "cw-laser" {
		return nil, fmt.Errorf("thesis: no built-in thesis %q (there is \"cw-laser\"): %w", name, chokepoint.ErrNotFound)
	}
	return Parse("cwlaser.yaml", cwlaser)
}

// Load reads the thesis file at path, or the built-in one that "builtin:" and a
// name stand for. See Parse.
func Load(path string) (*Thesis, error) {
	if name, ok := strings.CutPrefix(path, "builtin:"); ok {
		return Builtin(name)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("thesis: reading %s: %w", path, err)
	}
	return Parse(path, data)
}

// Parse reads a thesis. The error joins every mistake, each as
// "name:line: what is wrong; what to do".
func Parse(name string, data []byte) (*Thesis, error) {
	var t Thesis
	var root yaml.Node
	if err := yaml.Load(data, &root); err != nil {
		return nil, located(name, err)
	}
	if err := yaml.Load(data, &t, yaml.WithKnownFields()); err != nil {
		return nil, located(name, err)
	}
	c := checker{name: name, root: &root, t: &t}
	c.check()
	if len(c.found) > 0 {
		return nil, errors.Join(c.found...)
	}
	return &t, nil
}

// located turns the decoder's errors into lines of our form.
func located(name string, err error) error {
	var many *yaml.LoadErrors
	if !errors.As(err, &many) {
		return fmt.Errorf("%s: %w", name, err)
	}
	var out []error
	for _, e := range many.Errors {
		out = append(out, fmt.Errorf("%s:%d: %s; see the built-in thesis for the fields and their forms", name, e.Mark.Line, e.Message))
	}
	return errors.Join(out...)
}

// A checker collects what is wrong with a thesis.
type checker struct {
	name  string
	root  *yaml.Node
	t     *Thesis
	found []error
}

// at is the line of the value at path: keys of maps, indexes of lists. A step
// that is not there gives the line of what would hold it.
func (c *checker) at(path ...any) int {
	n := c.root
	if n.Kind == yaml.DocumentNode && len(n.Content) > 0 {
		n = n.Content[0]
	}
	for _, step := range path {
		next := (*yaml.Node)(nil)
		switch s := step.(type) {
		case string:
			for i := 0; i+1 < len(n.Content) && n.Kind == yaml.MappingNode; i += 2 {
				if n.Content[i].Value == s {
					next = n.Content[i+1]
				}
			}
		case int:
			if n.Kind == yaml.SequenceNode && s < len(n.Content) {
				next = n.Content[s]
			}
		}
		if next == nil {
			break
		}
		n = next
	}
	return max(n.Line, 1)
}

func (c *checker) bad(line int, format string, args ...any) {
	c.found = append(c.found, fmt.Errorf("%s:%d: %s", c.name, line, fmt.Sprintf(format, args...)))
}

// once reports an id that is empty or was seen in the same list.
func (c *checker) once(seen map[string]bool, list string, i int, key, id string) {
	switch line := c.at(list, i, key); {
	case id == "":
		c.bad(line, "%s %d has no %s; give it one", list, i+1, key)
	case seen[id]:
		c.bad(line, "%s %q appears twice in %s; rename or remove one", key, id, list)
	}
	seen[id] = true
}

func (c *checker) text(t Text, list string, i int, key string) {
	if t[chokepoint.English] == "" {
		c.bad(c.at(list, i, key), "%s %d has no %s in English; add \"%s: {en: …}\"", list, i+1, key, key)
	}
}

func (c *checker) among(set []string, what, value string, path ...any) {
	if !slices.Contains(set, value) {
		c.bad(c.at(path...), "%q is no %s; use one of %s", value, what, strings.Join(set, ", "))
	}
}

var day = regexp.MustCompile(`^\d{4}-\d\d-\d\d$`)

func (c *checker) check() {
	t := c.t
	if t.ID == "" {
		c.bad(c.at("id"), "the thesis has no id; add \"id: \" and a short name")
	}
	if t.Title[chokepoint.English] == "" {
		c.bad(c.at("title"), "the thesis has no title in English; add \"title: {en: …}\"")
	}
	companies, risks, catalysts := map[string]bool{}, map[string]bool{}, map[string]bool{}
	owner := map[string]chokepoint.Symbol{}
	for i, p := range t.Companies {
		c.once(companies, "companies", i, "symbol", string(p.Symbol))
		c.text(p.Name, "companies", i, "name")
		for k, r := range p.Roles {
			c.among(Roles, "role", r, "companies", i, "roles", k)
		}
		for _, a := range slices.Concat(p.Aliases, p.Ambiguous) {
			key := strings.ToLower(a)
			if other, taken := owner[key]; taken && other != p.Symbol {
				c.bad(c.at("companies", i), "the name %q is %s's too; remove it from one", a, other)
			}
			owner[key] = p.Symbol
		}
	}
	for i, r := range t.Risks {
		c.once(risks, "risks", i, "id", r.ID)
		c.text(r.Title, "risks", i, "title")
		c.text(r.Caution, "risks", i, "caution")
	}
	for i, k := range t.Catalysts {
		c.once(catalysts, "catalysts", i, "id", k.ID)
		c.text(k.Title, "catalysts", i, "title")
		c.text(k.Short, "catalysts", i, "short")
		if len(k.Against) == 0 {
			c.bad(c.at("catalysts", i), "catalyst %q names no risk; add at least one to \"against\"", k.ID)
		}
		for j, r := range k.Against {
			if !risks[r] {
				c.bad(c.at("catalysts", i, "against", j), "catalyst %q names the risk %q, which is not under \"risks\"; add it there", k.ID, r)
			}
		}
	}
	signals, sites := map[string]bool{}, map[string]bool{}
	for i, s := range t.Signals {
		c.once(signals, "signals", i, "id", s.ID)
		c.text(s.Title, "signals", i, "title")
		if s.Watcher == "" {
			c.bad(c.at("signals", i), "signal %q names no watcher; add the one that answers it", s.ID)
		}
	}
	for i, s := range t.Sites {
		c.once(sites, "sites", i, "id", s.ID)
		if !companies[string(s.Company)] {
			c.bad(c.at("sites", i, "company"), "site %q is of %q, which is not under \"companies\"; add it there", s.ID, s.Company)
		}
		if !catalysts[s.Catalyst] {
			c.bad(c.at("sites", i, "catalyst"), "site %q moves the catalyst %q, which is not under \"catalysts\"; add it there", s.ID, s.Catalyst)
		}
	}
	for i, a := range t.Agreements {
		if !companies[string(a.Buyer)] || !companies[string(a.Supplier)] {
			c.bad(c.at("agreements", i), "%s and %s are not both under \"companies\"; add them there", a.Buyer, a.Supplier)
		}
		if !day.MatchString(a.Day) {
			c.bad(c.at("agreements", i, "day"), "%q is no day; write it as 2026-03-02", a.Day)
		}
		c.among(chokepoint.Sureties, "state of an agreement", a.State, "agreements", i, "state")
	}
	for i, r := range t.Rules {
		if !catalysts[r.Card] && !risks[r.Card] {
			c.bad(c.at("rules", i, "card"), "rule %q moves %q, which is no catalyst and no risk; use an ID of one", r.Kind, r.Card)
		}
		if len(r.When) == 0 {
			c.bad(c.at("rules", i), "rule %q takes nothing; add \"when\"", r.Kind)
		}
		for _, w := range slices.Concat(r.When, r.Not, r.Reverse) {
			for class := range strings.SplitSeq(w, "+") {
				if len(t.Words[class]) == 0 {
					c.bad(c.at("rules", i), "rule %q uses the words %q, which are not under \"words\"; add them there", r.Kind, class)
				}
			}
		}
		for k, s := range r.Company {
			if !companies[s] && !slices.Contains(Roles, s) {
				c.bad(c.at("rules", i, "company", k), "rule %q names %q, which is no company and no role; use one of those", r.Kind, s)
			}
		}
	}
}
