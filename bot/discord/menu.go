package discord

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/chokepoint-bot/chokepoint/bot"
	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

// command is an entry of the menu, in the fields that we set.
// https://discord.com/developers/docs/interactions/application-commands
//
// default_member_permissions is left unset even for commands that change the
// chat's settings: most of them also answer what is set, guilds may hide them by
// themselves, and the handler asks for rights in any case.
type command struct {
	Type        int               `json:"type"`
	Name        string            `json:"name"`
	Description string            `json:"description"`
	Localized   map[string]string `json:"description_localizations,omitempty"`
	Options     []commandOption   `json:"options,omitempty"`
	Contexts    []int             `json:"contexts"`
}

type commandOption struct {
	Type        int               `json:"type"`
	Name        string            `json:"name"`
	Description string            `json:"description"`
	Localized   map[string]string `json:"description_localizations,omitempty"`
	Required    bool              `json:"required,omitempty"`
	Choices     []choice          `json:"choices,omitempty"`
}

type choice struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Command and option types, and contexts: in a guild, in a chat with the bot.
const (
	chatInput    = 1
	stringOption = 3
	inGuild      = 0
	inBotDM      = 1

	descriptionOfCommandMost = 100
	optionsMost              = 25
	choicesMost              = 25
)

// newCommand is a spec in Discord's form. Required options must come first, so
// one behind an optional one is optional, and the handler asks for it.
func newCommand(s bot.CommandSpec) command {
	c := command{Type: chatInput, Name: s.Name, Contexts: []int{inGuild, inBotDM}}
	c.Description, c.Localized = help(s.Help, s.Name)
	required := true
	for _, p := range s.Params[:min(len(s.Params), optionsMost)] {
		required = required && p.Required
		o := commandOption{Type: stringOption, Name: p.Name, Required: required}
		o.Description, o.Localized = help(p.Help, p.Name)
		for _, text := range p.Choices[:min(len(p.Choices), choicesMost)] {
			o.Choices = append(o.Choices, choice{text, text})
		}
		c.Options = append(c.Options, o)
	}
	return c
}

// help is a description and its translations. "zh" is no key of Discord's; its
// people see the one for their script, or the default.
func help(h map[chokepoint.Language]string, name string) (string, map[string]string) {
	en := short(h[chokepoint.English], descriptionOfCommandMost)
	zh := short(h[chokepoint.Chinese], descriptionOfCommandMost)
	if en == "" {
		en = name
	}
	if zh == "" {
		return en, nil
	}
	return en, map[string]string{"zh-CN": zh, "zh-TW": zh}
}

// publish makes menu the bot's, unless it is already: overwriting what has not
// changed counts against a daily limit, and resets what guilds set for a
// command whose name goes.
func (a *Adapter) publish(ctx context.Context, menu []bot.CommandSpec) *bot.SendError {
	var app created
	if failed := a.do(ctx, request{method: "GET", route: "/applications/@me", path: "/applications/@me"}, &app); failed != nil {
		return failed
	}
	route, path := "/applications/-/commands", "/applications/"+app.ID+"/commands"
	var have []command
	if failed := a.do(ctx, request{method: "GET", route: route, top: app.ID, path: path + "?with_localizations=true"}, &have); failed != nil {
		return failed
	}
	want := []command{}
	for _, s := range menu {
		want = append(want, newCommand(s))
	}
	if sameMenu(have, want) {
		return nil
	}
	body, err := json.Marshal(want)
	if err != nil {
		return &bot.SendError{Class: bot.Rejected, Err: err}
	}
	failed := a.do(ctx, request{method: "PUT", route: route, top: app.ID, path: path, kind: "application/json", body: body}, nil)
	if failed == nil {
		a.log.Info("menu published", "commands", len(want))
	}
	return failed
}

// sameMenu compares in any order, and as JSON: what is left out and what is
// empty are the same.
func sameMenu(a, b []command) bool {
	sorted := func(all []command) []byte {
		all = slices.Clone(all)
		for i := range all {
			all[i].Contexts = slices.Sorted(slices.Values(all[i].Contexts))
		}
		slices.SortFunc(all, func(x, y command) int { return strings.Compare(x.Name, y.Name) })
		text, err := json.Marshal(all)
		if err != nil {
			panic(err) // numbers and strings
		}
		return text
	}
	return len(a) == len(b) && bytes.Equal(sorted(a), sorted(b))
}
