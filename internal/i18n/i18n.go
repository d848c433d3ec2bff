// Package i18n holds every word that people see, in each language the program
// speaks. A catalog is a set of files locales/<room>.<language>.json: each room
// that words something has a pair of its own. A message is a Go text/template
// over its arguments, or an object with "one" and "other" for a count.
package i18n

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"strings"

	"github.com/nicksnyder/go-i18n/v2/i18n"
	"golang.org/x/text/language"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

//go:embed locales/*.json
var locales embed.FS

// Languages are those the program speaks, the default first.
var Languages = []chokepoint.Language{chokepoint.English, chokepoint.Chinese}

// Catalog words messages. Safe for concurrent use.
type Catalog struct {
	localizers map[chokepoint.Language]*i18n.Localizer
}

// Args are a message's arguments by name. "Count" chooses the plural form.
type Args map[string]any

// Load reads the embedded catalogs. It fails on a file that is not a catalog,
// which the tests of this package exclude.
func Load() (*Catalog, error) {
	bundle := i18n.NewBundle(language.English)
	bundle.RegisterUnmarshalFunc("json", json.Unmarshal)
	files, err := fs.Glob(locales, "locales/*.json")
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		if _, err := bundle.LoadMessageFileFS(locales, f); err != nil {
			return nil, fmt.Errorf("i18n: %s: %w", f, err)
		}
	}
	c := &Catalog{localizers: map[chokepoint.Language]*i18n.Localizer{}}
	for _, l := range Languages {
		c.localizers[l] = i18n.NewLocalizer(bundle, string(l))
	}
	return c, nil
}

// Must is Load for callers that cannot go on without.
func Must() *Catalog {
	c, err := Load()
	if err != nil {
		panic(err)
	}
	return c
}

// T words the message key in lang. A key that no catalog has is returned in
// brackets, so that it is seen and not lost.
func (c *Catalog) T(lang chokepoint.Language, key string, args ...Args) string {
	l := c.localizers[lang]
	if l == nil {
		l = c.localizers[chokepoint.English]
	}
	cfg := &i18n.LocalizeConfig{MessageID: key}
	if len(args) > 0 {
		cfg.TemplateData = args[0]
		cfg.PluralCount = args[0]["Count"]
	}
	s, err := l.Localize(cfg)
	if err != nil && s == "" {
		return "[" + key + "]"
	}
	return s
}

// Has says whether some catalog has the key.
func (c *Catalog) Has(key string) bool {
	s, _ := c.localizers[chokepoint.English].Localize(&i18n.LocalizeConfig{MessageID: key, PluralCount: 1})
	return s != ""
}

// Match maps a platform's or a person's idea of a language ("zh-Hant", "en_GB",
// "中文") to one that the program speaks; ok is false if it speaks none such.
func Match(tag string) (lang chokepoint.Language, ok bool) {
	t := strings.ToLower(strings.TrimSpace(tag))
	switch {
	case t == "zh" || strings.HasPrefix(t, "zh-") || strings.HasPrefix(t, "zh_") || t == "中文" || t == "chinese" || t == "汉语" || t == "漢語":
		return chokepoint.Chinese, true
	case t == "en" || strings.HasPrefix(t, "en-") || strings.HasPrefix(t, "en_") || t == "english" || t == "英文" || t == "英语" || t == "英語":
		return chokepoint.English, true
	}
	return "", false
}
