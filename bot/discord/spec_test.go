package discord

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/chokepoint-bot/chokepoint/bot"
	"github.com/chokepoint-bot/chokepoint/bot/discord/discordtest"
)

// TestEveryRequestIsAsDiscordsOwnDocumentHasIt holds what we send against
// Discord's OpenAPI document, which is not part of this repository.
func TestEveryRequestIsAsDiscordsOwnDocumentHasIt(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("CHOKEPOINT_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared")
	}
	raw, err := os.ReadFile(filepath.Join(dir, "specs", "discord-openapi-v10.json"))
	if err != nil {
		t.Skipf("Discord's OpenAPI document is not here (set CHOKEPOINT_SHARED to the folder above specs/discord-openapi-v10.json): %v", err)
	}
	var doc document
	if err := json.Unmarshal(raw, &doc.root); err != nil {
		t.Fatal(err)
	}

	s := newServer(t)
	a := newAdapter(t, s)
	full := bot.Message{
		Tone: bot.Bad, Title: "a", URL: "https://example.com/1", Lines: []bot.Line{bot.Labelled("b", "c")}, Image: []byte("png"), Alt: "d", Footer: "e", Silent: true,
		Actions: []bot.Action{{Label: "f", Command: "/why g"}},
	}
	r := start(t, s, a, func(ctx context.Context, in bot.Inbound) {
		if in.Text == "/why nothing" {
			return
		}
		for _, m := range []bot.Message{full, {Title: "and"}} {
			if err := a.Reply(context.WithoutCancel(ctx), in, m); err != nil {
				t.Error(err)
			}
		}
	})
	r.live()
	p, err := a.Send(t.Context(), bot.Target{Chat: chat(channel), Answer: thread}, full, "k")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []bot.Message{full, {}} {
		if _, err := a.Send(t.Context(), bot.Target{Chat: chat(channel), Edit: p.Message}, m, "k2"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := a.OpenThread(t.Context(), bot.Target{Chat: chat(channel), Edit: p.Message}, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.UseCommand(channel, person, "why", discordtest.Option{Name: "alert", Value: "something"})
	s.UseCommand(channel, person, "why", discordtest.Option{Name: "alert", Value: "nothing"})
	s.Say(channel, person, "<@"+discordtest.BotID+"> hello")
	in := r.waitFor("hello")
	if _, err := in.Admin(t.Context()); err == nil {
		t.Error("a stranger's rights are known")
	}
	r.waitFor("/why something")
	r.waitFor("/why nothing")
	r.cancel()
	if err := r.stopped(); err != nil {
		t.Fatal(err)
	}

	seen := map[string]bool{}
	for _, q := range s.Requests() {
		path, schema, err := doc.request(q.Method, q.Path)
		if err != nil {
			t.Errorf("%s %s: %v", q.Method, q.Path, err)
			continue
		}
		seen[q.Method+" "+path] = true
		if (q.Body == nil) != (schema == nil) {
			t.Errorf("%s %s: body %t, by the document %t", q.Method, path, q.Body != nil, schema != nil)
			continue
		}
		if q.Body == nil {
			continue
		}
		var v any
		d := json.NewDecoder(strings.NewReader(string(q.Body)))
		d.UseNumber()
		if err := d.Decode(&v); err != nil {
			t.Errorf("%s %s: %v", q.Method, path, err)
			continue
		}
		if err := doc.check(schema, v, "body"); err != nil {
			t.Errorf("%s %s: %v\n%s", q.Method, path, err, q.Body)
		}
	}
	for _, want := range []string{
		"GET /gateway", "GET /users/@me", "GET /applications/@me", "GET /applications/{application_id}/commands", "PUT /applications/{application_id}/commands",
		"POST /channels/{channel_id}/messages", "PATCH /channels/{channel_id}/messages/{message_id}", "POST /channels/{channel_id}/messages/{message_id}/threads",
		"POST /interactions/{interaction_id}/{interaction_token}/callback", "PATCH /webhooks/{webhook_id}/{webhook_token}/messages/@original",
		"POST /webhooks/{webhook_id}/{webhook_token}", "DELETE /webhooks/{webhook_id}/{webhook_token}/messages/@original",
		"GET /guilds/{guild_id}", "GET /guilds/{guild_id}/members/{user_id}", "GET /channels/{channel_id}",
	} {
		if !seen[want] {
			t.Errorf("%s was not made, and so not held against the document; made: %v", want, seen)
		}
	}

	// What the document must refuse, or the checks above are worth nothing.
	_, message, err := doc.request("POST", "/channels/1/messages")
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{
		`{"content": 1}`, `{"nonce": "` + strings.Repeat("x", 26) + `"}`, `{"unknown": 1}`, `{"embeds": [{"title": "` + strings.Repeat("x", 257) + `"}]}`,
		`{"components": [{"type": 1, "components": []}]}`, `{"components": [{"type": 1, "components": [{"type": 2, "style": 9, "label": "x"}]}]}`,
		`{"message_reference": {}}`, `{"allowed_mentions": {"parse": ["all"]}}`, `{"attachments": [{"filename": "x"}]}`, `{"flags": 1.5}`,
	} {
		var v any
		d := json.NewDecoder(strings.NewReader(bad))
		d.UseNumber()
		if err := d.Decode(&v); err != nil {
			t.Fatal(err)
		}
		if doc.check(message, v, "body") == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}

// document is an OpenAPI 3.1 document, as far as it is needed here.
type document struct{ root map[string]any }

func dig(v any, keys ...string) any {
	for _, k := range keys {
		m, _ := v.(map[string]any)
		v = m[k]
	}
	return v
}

// request finds an operation's path and the schema of its JSON body, nil for
// none. A path without parameters comes before one with.
func (d *document) request(method, path string) (template string, schema any, err error) {
	paths, _ := dig(d.root, "paths").(map[string]any)
	var found []string
	for p := range paths {
		pattern := regexp.MustCompile(`\\\{[^/]*\\\}`).ReplaceAllString(regexp.QuoteMeta(p), `[^/]+`)
		if regexp.MustCompile("^"+pattern+"$").MatchString(path) && dig(paths, p, strings.ToLower(method)) != nil {
			found = append(found, p)
		}
	}
	if len(found) == 0 {
		return "", nil, fmt.Errorf("no such operation")
	}
	slices.SortFunc(found, func(a, b string) int { return strings.Count(a, "{") - strings.Count(b, "{") })
	op := dig(paths, found[0], strings.ToLower(method))
	return found[0], dig(op, "requestBody", "content", "application/json", "schema"), nil
}

// check holds v against a schema: the part of JSON Schema 2020-12 that the
// document uses, and beyond it that no property is unknown to a schema that
// lists some. Of oneOf exactly one must fit; of anyOf at least one, although the
// document's readme says one there, too: it lists bodies that contain each
// other.
func (d *document) check(schema, v any, at string) error {
	s, ok := schema.(map[string]any)
	if !ok {
		return nil
	}
	if ref, ok := s["$ref"].(string); ok {
		return d.check(dig(d.root, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...), v, at)
	}
	if kinds := list(s["type"]); len(kinds) > 0 && !slices.ContainsFunc(kinds, func(k any) bool { return is(v, k) }) {
		return fmt.Errorf("%s: %v is not of type %v", at, v, kinds)
	}
	if enum := list(s["enum"]); enum != nil && !slices.ContainsFunc(enum, func(e any) bool { return fmt.Sprint(e) == fmt.Sprint(v) }) {
		return fmt.Errorf("%s: %v is not among %v", at, v, enum)
	}
	if c, ok := s["const"]; ok && fmt.Sprint(c) != fmt.Sprint(v) {
		return fmt.Errorf("%s: %v is not %v", at, v, c)
	}
	for _, part := range list(s["allOf"]) {
		if err := d.check(part, v, at); err != nil {
			return err
		}
	}
	for _, union := range []string{"oneOf", "anyOf"} {
		parts := list(s[union])
		if parts == nil {
			continue
		}
		var fits int
		var errs []string
		for _, part := range parts {
			if err := d.check(part, v, at); err != nil {
				errs = append(errs, err.Error())
			} else {
				fits++
			}
		}
		if fits == 0 || union == "oneOf" && fits > 1 {
			return fmt.Errorf("%s: %d of %s fit: %s", at, fits, union, strings.Join(errs, "; "))
		}
	}
	bound := func(name string, n float64, most bool) error {
		limit, ok := s[name].(float64)
		if ok && (most && n > limit || !most && n < limit) {
			return fmt.Errorf("%s: %v breaks %s %v", at, n, name, limit)
		}
		return nil
	}
	switch v := v.(type) {
	case string:
		n := float64(utf8.RuneCountInString(v))
		if err := bound("maxLength", n, true); err != nil {
			return err
		}
		if err := bound("minLength", n, false); err != nil {
			return err
		}
		if p, ok := s["pattern"].(string); ok && !regexp.MustCompile(p).MatchString(v) {
			return fmt.Errorf("%s: %q does not match %s", at, v, p)
		}
	case json.Number:
		n, err := v.Float64()
		if err != nil {
			return err
		}
		if err := bound("maximum", n, true); err != nil {
			return err
		}
		if err := bound("minimum", n, false); err != nil {
			return err
		}
	case []any:
		if err := bound("maxItems", float64(len(v)), true); err != nil {
			return err
		}
		if err := bound("minItems", float64(len(v)), false); err != nil {
			return err
		}
		for i, item := range v {
			if err := d.check(s["items"], item, fmt.Sprintf("%s[%d]", at, i)); err != nil {
				return err
			}
		}
	case map[string]any:
		for _, name := range list(s["required"]) {
			if _, ok := v[name.(string)]; !ok {
				return fmt.Errorf("%s: %s is missing", at, name)
			}
		}
		properties, _ := s["properties"].(map[string]any)
		for name, item := range v {
			schema, known := properties[name]
			if !known {
				schema, known = s["additionalProperties"]
			}
			if !known && properties != nil {
				return fmt.Errorf("%s: %s is unknown", at, name)
			}
			if err := d.check(schema, item, at+"."+name); err != nil {
				return err
			}
		}
	}
	return nil
}

func list(v any) []any {
	switch v := v.(type) {
	case []any:
		return v
	case string:
		return []any{v}
	}
	return nil
}

func is(v, kind any) bool {
	switch v := v.(type) {
	case nil:
		return kind == "null"
	case bool:
		return kind == "boolean"
	case string:
		return kind == "string"
	case json.Number:
		_, err := v.Int64()
		return kind == "number" || kind == "integer" && err == nil
	case []any:
		return kind == "array"
	case map[string]any:
		return kind == "object"
	}
	return false
}
