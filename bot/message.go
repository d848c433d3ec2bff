package bot

import (
	"context"
	"strings"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

// Message is what any platform can show: plain text with a little structure.
// Text is never markup; each adapter escapes it for its own platform, and
// neutralises mentions, control and bidirectional characters.
type Message struct {
	Tone    Tone
	Title   string // one line; "" for none
	URL     string // behind the title; "" for none
	Lines   []Line
	Image   []byte   // PNG; nil for none
	Alt     string   // what Image shows, in words
	Footer  string   // small print, one line; "" for none
	Actions []Action // buttons, at most 10
	Silent  bool     // shown without a sound, where the platform can
}

// Tone colours a message where the platform can.
type Tone uint8

const (
	Plain Tone = iota
	Good
	Bad
	Warn
	Quiet
)

// Line is one row: a label in front ("" for none), then spans. A line without
// label and spans is a blank one.
type Line struct {
	Label string
	Spans []Span
	Mono  bool // columns: shown in a fixed-width face
}

// Span is a run of text, with a link behind it if URL (http or https) is set.
type Span struct {
	Text string
	URL  string
	Bold bool
}

// Text is a line of plain text.
func Text(s string) Line { return Line{Spans: []Span{{Text: s}}} }

// Labelled is a line of text behind a label.
func Labelled(label, s string) Line { return Line{Label: label, Spans: []Span{{Text: s}}} }

// Action is a button: pressing it issues Command as if the person had typed
// it.
type Action struct {
	Label   string // at most 40 runes
	Command string // such as "/why k7f3q2ma"; at most 60 bytes of ASCII
}

// PlainText is the message as a terminal or a fallback shows it, images and
// actions left out.
func (m Message) PlainText() string {
	var b strings.Builder
	if m.Title != "" {
		b.WriteString(m.Title + "\n")
	}
	for _, l := range m.Lines {
		b.WriteString(l.PlainText() + "\n")
	}
	if m.Footer != "" {
		b.WriteString(m.Footer + "\n")
	}
	return strings.TrimRight(b.String(), "\n")
}

// PlainText is the line with its label and the texts of its spans.
func (l Line) PlainText() string {
	var b strings.Builder
	if l.Label != "" {
		b.WriteString(l.Label + "  ")
	}
	for _, s := range l.Spans {
		b.WriteString(s.Text)
	}
	return b.String()
}

// Inbound is a command that a person typed, picked from a menu, pressed as a
// button, or said to the bot in a mention.
type Inbound struct {
	ID      string // the platform's, unique per event: the same event again has the same
	Chat    chokepoint.ChatID
	Title   string // the chat's name, "" if unknown
	Message string // the platform's ID of the message pressed or answered, "" if none
	Thread  string // where in the chat it was said, "" if in no thread
	User    string // the platform's ID of the person
	Group   bool   // false in a private chat, where whoever speaks is admin
	Text    string // "/alert AAOI below 20"; a mention arrives without the bot's name and need not begin with "/"
	Locale  string // the platform's hint, "" if none
	At      time.Time

	// Admin asks the platform whether the person may change the chat's
	// settings, by its own notion of admin. An error means that it could not
	// be found out.
	Admin func(ctx context.Context) (bool, error)

	// ReplyTo is what the adapter needs to answer; opaque to all others.
	ReplyTo any
}

// CommandSpec is what a platform needs to offer a command in its menu.
type CommandSpec struct {
	Name   string                         // [a-z]{1,32}
	Help   map[chokepoint.Language]string // at most 100 runes
	Params []Param                        // in the order in which they are typed
	Admin  bool                           // changes the chat's settings
}

// Param is one argument of a command. An adapter with typed menus shows it as
// a field and types its value after the command's name.
type Param struct {
	Name     string                         // [a-z]{1,32}
	Help     map[chokepoint.Language]string // at most 100 runes
	Required bool
	Choices  []string // at most 25; nil for free text
}
