package chokepoint

import "time"

// Delivery is one alert owed to one chat: at least once, in order per chat.
type Delivery struct {
	ID       DeliveryID `json:"id"`
	Alert    AlertID    `json:"alert"`
	Chat     ChatID     `json:"chat"`
	Queued   time.Time  `json:"queued"`
	Attempts int        `json:"attempts,omitempty"` // sends that failed so far
	Unknown  int        `json:"unknown,omitempty"`  // of these, how many may have been shown
	LastErr  string     `json:"last_err,omitempty"` // free of secrets
	Dead     time.Time  `json:"dead,omitzero"`      // when given up; zero while owed
}

// Pace is how a lane's rate limit is remembered.
type Pace struct {
	TAT time.Time `json:"tat,omitzero"` // theoretical arrival time of the generic cell rate algorithm
}

// Grant is a leased lane: the oldest delivery due to one chat, all that is
// needed to send it, and the right to, until Expires. A lane is a chat's
// deliveries in order; a store grants a lane to one holder at a time.
type Grant struct {
	Delivery Delivery
	Alert    *Alert   // shared between grants: not to be changed
	Chat     Chat     // as it is now, not as it was when queued
	Posting  *Posting // where the alert's story stands in the chat; nil if nowhere
	Pace     Pace
	Token    int64
	Expires  time.Time
}

// OutcomeKind is what became of a grant.
type OutcomeKind uint8

const (
	Sent    OutcomeKind = iota // shown; leaves the outbox
	Retry                      // failed; counts as an attempt; the whole lane waits until NotBefore
	Snooze                     // not tried (quiet hours, mute, pace); not counted; those behind it may pass
	Dropped                    // not wanted (muted story, too slight, expired); leaves the outbox
	Dead                       // given up; moves to the dead letters
)

// Outcome settles a grant.
type Outcome struct {
	Kind      OutcomeKind
	Posting   *Posting  // Sent: where the story stands now; nil leaves it as it was
	NotBefore time.Time // Retry, Snooze
	Unknown   bool      // Retry, Dead: the message may have been shown
	Reason    string    // Retry, Dropped, Dead: from a closed set, then detail free of secrets
	Hold      bool      // Snooze: the lane waits too, as for pace
	Gone      bool      // Dead: the chat is gone, and with it the rest of the lane
	Moved     ChatID    // Retry: the chat has this ID from now on; zero if it has not moved
	Pace      Pace      // the lane's from now on
}

// Settlement is a grant with its outcome.
type Settlement struct {
	Grant   Grant
	Outcome Outcome
}

// Depth counts the outbox.
type Depth struct {
	Spreads int           `json:"spreads"` // alerts not yet spread to all their chats
	Pending int           `json:"pending"` // deliveries owed, the granted ones included
	Granted int           `json:"granted"`
	Dead    int           `json:"dead"`
	Oldest  time.Duration `json:"oldest"` // age of the oldest pending delivery
}
