package chokepoint

import "time"

// Chat is a place that alerts go to, and what it wants of them.
type Chat struct {
	ID           ChatID                `json:"id"`
	Title        string                `json:"title,omitempty"` // as the platform names it, "" if unknown
	Language     Language              `json:"language"`
	Zone         string                `json:"zone"`                   // IANA name; of shown times and quiet hours
	Topics       []Topic               `json:"topics,omitempty"`       // followed, sorted
	MinSeverity  Severity              `json:"min_severity,omitempty"` // less is not delivered
	Quiet        QuietHours            `json:"quiet,omitzero"`
	Muted        time.Time             `json:"muted,omitzero"` // no deliveries before this moment; zero if not muted
	MutedStories map[StoryID]time.Time `json:"muted_stories,omitempty"`
	Gone         string                `json:"gone,omitempty"` // why it cannot be reached any more; "" while it can
	Changed      time.Time             `json:"changed,omitzero"`
}

// Follows says whether the chat follows t.
func (c Chat) Follows(t Topic) bool {
	for _, have := range c.Topics {
		if have == t {
			return true
		}
	}
	return false
}

// QuietHours is a daily span in the chat's zone; From may be after To, and
// equal ends mean none.
type QuietHours struct {
	From int `json:"from"` // minutes since local midnight, 0-1439
	To   int `json:"to"`
}

// Rule is a chat's price rule, with its place in the edge machine:
// armed → fired → (cooldown, and back past the hysteresis) → armed.
type Rule struct {
	Chat   ChatID `json:"chat"` // zero for a rule of the configuration, which every follower of its watcher hears
	ID     string `json:"id"`   // unique within Chat; people type it
	Symbol Symbol `json:"symbol"`
	Text   string `json:"text"` // the condition as a person would type it: "below 20 once"

	// State is the rule's place in the edge machine, in the price judge's own
	// JSON; nil until first judged.
	State   []byte    `json:"state,omitempty"`
	Made    time.Time `json:"made,omitzero"`
	Fired   time.Time `json:"fired,omitzero"` // last time; zero if never
	Firings int       `json:"firings,omitempty"`
	Done    bool      `json:"done,omitempty"` // will not fire again: once, or expired
}

// Posting says where a story stands in a chat, so that updates edit or follow
// it.
type Posting struct {
	Chat    ChatID    `json:"chat"`
	Story   StoryID   `json:"story"`
	Alert   AlertID   `json:"alert"`            // the telling that the message shows now
	Message string    `json:"message"`          // the platform's ID of the first message
	Thread  string    `json:"thread,omitempty"` // where follow-ups go; "" if they answer the message
	Edited  time.Time `json:"edited,omitzero"`  // last change of the message
}
