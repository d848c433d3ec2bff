package adaptertest

import (
	"context"
	"time"

	"github.com/chokepoint-bot/chokepoint/bot"
	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

// Peer is the far end: a fake that speaks the platform's real protocol, keeps
// its state, and refuses what the platform refuses. Methods may be called
// concurrently. What a harness Lacks its peer need not do.
type Peer interface {
	// Sent is the bot's messages that stand now, over all chats, in the order
	// in which they were posted.
	Sent() []Sent

	// Fail makes the next n messages that the bot sends or changes fail in the
	// platform's own way. They are not shown, unless f.Class is bot.Unknown.
	Fail(n int, f Failure)
	// DropAnswer shows the next n messages, and cuts the connection before it
	// has answered.
	DropAnswer(n int)
	// Stall takes the next message and does not answer until its connection
	// is closed. arrived is closed when the message is there.
	Stall() (arrived <-chan struct{})

	Delete(c chokepoint.ChatID, message string)     // a person deletes a message
	CloseThread(c chokepoint.ChatID, thread string) // a person closes a thread
	DeleteThread(c chokepoint.ChatID, thread string)

	// Receiving returns once the adapter's Run receives: what is said after
	// that reaches it.
	Receiving(ctx context.Context) error
	// Say says something, and returns what Amend takes.
	Say(s Said) (said string)
	// Amend changes the text of what a person said. It does nothing where
	// that cannot be changed.
	Amend(said, text string)
	// Press presses the button with that label under a message of the bot's.
	Press(c chokepoint.ChatID, message, label, user string)
	// Repeat delivers the last event that Say or Press made once more.
	Repeat()
	// Hangup cuts the connection that Run receives by.
	Hangup()
	// Revoke makes the bot's token worthless, at once.
	Revoke()
	// Menu is the commands that a person of that language is offered, with
	// their help, by name without "/".
	Menu(l chokepoint.Language) map[string]string
}

// Sent is a message as a person sees it now: unescaped.
type Sent struct {
	Chat    chokepoint.ChatID
	Thread  string // "" in none
	Message string // the platform's ID, as bot.Posted has it
	Answer  string // the message that it visibly answers, "" if none
	// Text is all that can be read, from the top down: title, lines, footer,
	// caption; rows end with "\n". Markup is gone, and so are addresses that
	// are behind text.
	Text     string
	Links    []Link   // what can be clicked
	Mentions []string // whom or what the text notifies
	Image    []byte   // nil if none
	Alt      string   // the image's own description; "" where a platform has none
	Buttons  []string // labels, from the top left on
	Silent   bool
	Key      string // as the platform got it, "" if it has none
	Edits    int    // how often it was changed
}

// Link is text that leads to an address.
type Link struct{ Text, URL string }

// Failure is what the peer answers instead of showing a message.
type Failure struct {
	Class bot.Class
	Wait  time.Duration     // bot.RateLimited, in whole seconds
	To    chokepoint.ChatID // bot.Moved
}

// Said is something that somebody says where the bot is.
type Said struct {
	Chat   chokepoint.ChatID
	Thread string // "" in none
	User   string // the platform's ID
	Admin  bool   // the user may change the chat's settings
	// Text begins with "/" if it is a command. A peer whose platform has
	// typed commands types it into the fields of the published menu, a word
	// in each and the rest in the last.
	Text    string
	Mention bool      // the bot's name stands before the text, as the platform writes mentions
	Bot     bool      // another bot says it
	Self    bool      // the bot itself says it
	At      time.Time // zero for now
}
