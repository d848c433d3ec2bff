package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Mistake is one thing wrong with a configuration.
type Mistake struct {
	File string
	Line int    // 1 is the first; 0 if it is in no line, such as a missing file
	Path string // such as "sources.sec.cron"; "" for the file as a whole
	Err  string // what is wrong, and what to do
}

func (m Mistake) Error() string {
	where := m.File
	if m.Line > 0 {
		where = fmt.Sprintf("%s:%d", where, m.Line)
	}
	if m.Path != "" {
		return where + ": " + m.Path + ": " + m.Err
	}
	return where + ": " + m.Err
}

// Mistakes is all that is wrong with a configuration, in the order of lines.
type Mistakes []Mistake

func (ms Mistakes) Error() string {
	lines := make([]string, len(ms))
	for i, m := range ms {
		lines[i] = m.Error()
	}
	return strings.Join(lines, "\n")
}

// Env looks up a variable of the environment; os.LookupEnv is one.
type Env func(name string) (string, bool)

// Load reads the file at path; "" is no file, and gives the defaults. The
// error is a Mistakes unless the file cannot be read.
func Load(path string, env Env) (Config, error) {
	if path == "" {
		return parse("(no file)", ".", nil, env)
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Config{}, Mistakes{{File: path, Err: "there is no such file: check -config and CHOKEPOINT_CONFIG, or leave both out to run on the defaults"}}
	}
	if err != nil {
		return Config{}, fmt.Errorf("config: reading %s: %w", path, err)
	}
	return Parse(path, data, env)
}

// Parse reads a configuration from data, as if it were the file name.
func Parse(name string, data []byte, env Env) (Config, error) {
	return parse(name, filepath.Dir(name), data, env)
}

func parse(name, dir string, data []byte, env Env) (Config, error) {
	l := &loader{file: name, dir: dir, env: env}
	cfg := Default()
	cfg.Dir = dir
	l.expandDefaults(&cfg)
	if root := l.document(data); root != nil {
		l.expand(root, "")
		l.root = root
		l.decode(root, &cfg)
	}
	l.check(&cfg)
	if len(l.mistakes) > 0 {
		slices.SortStableFunc(l.mistakes, func(a, b Mistake) int { return a.Line - b.Line })
		return Config{}, l.mistakes
	}
	return cfg, nil
}

type loader struct {
	file, dir string
	env       Env
	root      *yaml.Node
	mistakes  Mistakes
}

func (l *loader) mistake(line int, path, format string, args ...any) {
	l.mistakes = append(l.mistakes, Mistake{l.file, line, path, fmt.Sprintf(format, args...)})
}

// document is the root mapping, nil for an empty file or a syntax error.
func (l *loader) document(data []byte) *yaml.Node {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if !slices.ContainsFunc(strings.Split(string(data), "\n"), isContent) {
		return nil
	}
	var doc yaml.Node
	if err := yaml.Load(data, &doc); err != nil {
		l.yamlError(err, "")
		return nil
	}
	root := &doc
	if doc.Kind == yaml.DocumentNode {
		if len(doc.Content) == 0 {
			return nil
		}
		root = doc.Content[0]
	}
	if root.Kind == yaml.ScalarNode && root.ShortTag() == "!!null" { // nothing but comments
		return nil
	}
	if root.Kind != yaml.MappingNode {
		l.mistake(root.Line, "", "this is not a configuration: it must be keys and values, as in config.example.yaml")
		return nil
	}
	return root
}

// isContent says whether a line is more than blanks, a comment or a document
// marker.
func isContent(line string) bool {
	line = strings.TrimSpace(line)
	return line != "" && line != "---" && line != "..." && line[0] != '#'
}

var unknownField = regexp.MustCompile(`^field (\S+) not found in type (\S+)$`)

// yamlError turns what the YAML library says into mistakes, in our words
// where we know better.
func (l *loader) yamlError(err error, path string) {
	one := func(e *yaml.LoadError) {
		msg := e.Message
		if m := unknownField.FindStringSubmatch(msg); m != nil {
			msg = fmt.Sprintf("there is no key %q here; config.example.yaml shows every key", m[1])
		} else if strings.Contains(msg, "cannot construct") {
			msg += "; config.example.yaml shows what belongs here"
		} else if strings.Contains(msg, "tab") || strings.Contains(msg, "cannot start any token") {
			msg += "; indent with spaces, not tabs, and quote values that hold special characters"
		}
		p := l.pathAt(e.Mark.Line, path)
		l.mistake(e.Mark.Line, p, "%s", msg)
	}
	var all *yaml.LoadErrors
	var single *yaml.LoadError
	switch {
	case errors.As(err, &all):
		for _, e := range all.Errors {
			one(e)
		}
	case errors.As(err, &single):
		one(single)
	default:
		l.mistake(0, path, "%v", err)
	}
}

// decode reads root over the defaults in cfg. Sources and watchers are merged
// by name, key by key, so that a file names only what differs.
func (l *loader) decode(root *yaml.Node, cfg *Config) {
	l.duplicates(root, "")
	rest := *root
	rest.Content = nil
	for i := 0; i+1 < len(root.Content); i += 2 {
		k, v := root.Content[i], root.Content[i+1]
		switch k.Value {
		case "sources":
			merge(l, v, "sources", cfg.Sources, Source{Enabled: true})
		case "watchers":
			merge(l, v, "watchers", cfg.Watchers, Watcher{Enabled: true})
		default:
			rest.Content = append(rest.Content, k, v)
		}
	}
	if len(rest.Content) == 0 {
		return
	}
	if err := rest.Load(cfg, yaml.WithKnownFields()); err != nil {
		l.yamlError(err, "")
	}
}

func merge[T any](l *loader, m *yaml.Node, path string, into map[string]T, fresh T) {
	if m.Kind == yaml.ScalarNode && m.ShortTag() == "!!null" {
		return
	}
	if m.Kind != yaml.MappingNode {
		l.mistake(m.Line, path, "this must be names with settings below them, as in config.example.yaml")
		return
	}
	for i := 0; i+1 < len(m.Content); i += 2 {
		name, v := m.Content[i].Value, m.Content[i+1]
		entry, known := into[name]
		if !known {
			entry = fresh
		}
		if v.Kind == yaml.ScalarNode && v.ShortTag() == "!!null" {
			continue
		}
		if err := v.Load(&entry, yaml.WithKnownFields()); err != nil {
			l.yamlError(err, path+"."+name)
			continue
		}
		into[name] = entry
	}
}

// duplicates reports every key that stands twice in one mapping, and drops the
// later one so that the rest can be read.
func (l *loader) duplicates(n *yaml.Node, path string) {
	if n.Kind == yaml.MappingNode {
		seen := map[string]int{}
		var once []*yaml.Node
		for i := 0; i+1 < len(n.Content); i += 2 {
			k, v := n.Content[i], n.Content[i+1]
			if first, twice := seen[k.Value]; twice {
				l.mistake(k.Line, join(path, k.Value), "this key stands in line %d already; keep one of the two", first)
				continue
			}
			seen[k.Value] = k.Line
			once = append(once, k, v)
			l.duplicates(v, join(path, k.Value))
		}
		n.Content = once
		return
	}
	for i, c := range n.Content {
		l.duplicates(c, fmt.Sprintf("%s[%d]", path, i))
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

var (
	variable = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)(:-([^}]*))?\}|\$\{[^}]*\}?`)
	// fromFile are the keys that may be given as <key>_file, naming a file
	// that holds the value.
	fromFile = []string{"token", "key", "url"}
)

// expand fills ${VAR} and ${VAR:-default} in the values below n, after the
// YAML was parsed so that a value cannot write YAML, and reads <key>_file.
func (l *loader) expand(n *yaml.Node, path string) {
	switch n.Kind {
	case yaml.ScalarNode:
		if strings.Contains(n.Value, "${") {
			value, err := l.fill(n.Value)
			if err != "" {
				l.mistake(n.Line, path, "%s", err)
			}
			n.SetString(value)
			n.Tag = "!!str"
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			k, v := n.Content[i], n.Content[i+1]
			l.expand(v, join(path, k.Value))
			base, ok := strings.CutSuffix(k.Value, "_file")
			if !ok || !slices.Contains(fromFile, base) || v.Kind != yaml.ScalarNode {
				continue
			}
			if hasKey(n, base) {
				l.mistake(k.Line, join(path, k.Value), "%s and %s are both set; keep one of the two", base, k.Value)
				n.Content = slices.Delete(n.Content, i, i+2)
				i -= 2
				continue
			}
			file := v.Value
			if !filepath.IsAbs(file) {
				file = filepath.Join(l.dir, file)
			}
			data, err := os.ReadFile(file)
			if err != nil {
				l.mistake(v.Line, join(path, k.Value), "%v; check the path and that this user may read it", err)
			}
			k.Value = base
			v.SetString(strings.TrimRight(string(data), "\r\n"))
		}
	default:
		for i, c := range n.Content {
			l.expand(c, fmt.Sprintf("%s[%d]", path, i))
		}
	}
}

func hasKey(m *yaml.Node, key string) bool {
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == key {
			return true
		}
	}
	return false
}

// fill expands the variables in s. The complaint names a variable, never a
// value.
func (l *loader) fill(s string) (filled, complaint string) {
	filled = variable.ReplaceAllStringFunc(s, func(m string) string {
		p := variable.FindStringSubmatch(m)
		if p[1] == "" {
			complaint = fmt.Sprintf("%s is not a variable: write ${NAME} or ${NAME:-default}", m)
			return m
		}
		if v, ok := l.env(p[1]); ok {
			return v
		}
		if p[2] == "" {
			complaint = fmt.Sprintf("the environment has no %s: set it, or write ${%s:-default}", p[1], p[1])
		}
		return p[3]
	})
	return filled, complaint
}

func (l *loader) expandDefaults(c *Config) {
	fill := func(s *Secret) {
		v, _ := l.fill(string(*s))
		*s = Secret(v)
	}
	fill(&c.Discord.Token)
	fill(&c.Telegram.Token)
	for _, s := range c.Sources {
		for i := range s.Providers {
			fill(&s.Providers[i].Key)
		}
	}
}

// line is where path stands in the file; the nearest parent's if it does not
// stand there itself, 0 if nothing does.
func (l *loader) line(path string) int {
	n, line := l.root, 0
	if n == nil {
		return 0
	}
	for _, step := range strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' || r == ']' }) {
		found := false
		switch n.Kind {
		case yaml.MappingNode:
			for i := 0; i+1 < len(n.Content); i += 2 {
				if n.Content[i].Value == step {
					line, n, found = n.Content[i].Line, n.Content[i+1], true
					break
				}
			}
		case yaml.SequenceNode:
			var i int
			if _, err := fmt.Sscanf(step, "%d", &i); err == nil && i >= 0 && i < len(n.Content) {
				n, found = n.Content[i], true
				line = n.Line
			}
		}
		if !found {
			break
		}
	}
	return line
}

// pathAt is the path of the deepest key that stands at line, or else path.
func (l *loader) pathAt(line int, path string) string {
	best := path
	var walk func(n *yaml.Node, p string)
	walk = func(n *yaml.Node, p string) {
		switch n.Kind {
		case yaml.MappingNode:
			for i := 0; i+1 < len(n.Content); i += 2 {
				q := join(p, n.Content[i].Value)
				if n.Content[i].Line == line {
					best = q
				}
				walk(n.Content[i+1], q)
			}
		case yaml.SequenceNode:
			for i, c := range n.Content {
				walk(c, fmt.Sprintf("%s[%d]", p, i))
			}
		}
	}
	if l.root != nil {
		walk(l.root, "")
	}
	return best
}

// UnmarshalYAML reads a chat, or its ID alone.
func (c *Chat) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		c.ID = n.Value
		return nil
	}
	type plain Chat
	return n.Load((*plain)(c), yaml.WithKnownFields())
}
