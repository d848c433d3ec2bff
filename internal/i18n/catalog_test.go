package i18n

import (
	"encoding/json"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var argument = regexp.MustCompile(`\{\{[^}]*\}\}`)

// read gives the messages of each language as key → its argument actions,
// sorted and without repeats.
func read(t *testing.T, lang string) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	files, _ := fs.Glob(locales, "locales/*."+lang+".json")
	if len(files) == 0 {
		t.Fatalf("no catalog for %s", lang)
	}
	for _, f := range files {
		room := strings.TrimSuffix(strings.TrimPrefix(f, "locales/"), "."+lang+".json")
		b, err := locales.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var messages map[string]json.RawMessage
		if err := json.Unmarshal(b, &messages); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		for key, raw := range messages {
			if _, twice := all[key]; twice {
				t.Errorf("%s: %s stands in another room's catalog too (room %s)", f, key, room)
			}
			args := argument.FindAllString(string(raw), -1)
			for i, a := range args {
				args[i] = strings.Join(strings.Fields(a), "")
			}
			slices.Sort(args)
			all[key] = slices.Compact(args)
		}
	}
	return all
}

func TestEveryCatalogHasTheSameKeysAndArguments(t *testing.T) {
	en := read(t, "en")
	for _, lang := range Languages[1:] {
		other := read(t, string(lang))
		for key, args := range en {
			have, ok := other[key]
			if !ok {
				t.Errorf("%s lacks %s", lang, key)
			} else if !slices.Equal(args, have) {
				t.Errorf("%s %s: arguments %v, in English %v", lang, key, have, args)
			}
		}
		for key := range other {
			if _, ok := en[key]; !ok {
				t.Errorf("English lacks %s, which %s has", key, lang)
			}
		}
	}
}

func TestAnUnknownKeyIsShownAndNotLost(t *testing.T) {
	if got := Must().T("en", "no.such.key"); got != "[no.such.key]" {
		t.Errorf("got %q", got)
	}
}

func TestMatch(t *testing.T) {
	for tag, want := range map[string]string{"zh-Hant": "zh", "zh_CN": "zh", "中文": "zh", "en-GB": "en", "English": "en", "sv": ""} {
		if got, ok := Match(tag); string(got) != want || ok != (want != "") {
			t.Errorf("Match(%q) = %q, %v", tag, got, ok)
		}
	}
}
