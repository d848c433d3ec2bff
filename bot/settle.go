package bot

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

const (
	// giveUp is how long after it was queued a delivery that keeps failing is
	// given up.
	giveUp = 24 * time.Hour
	// longestPause is the longest time between two attempts.
	longestPause = 5 * time.Minute
	// refusedPause is how long a platform that refuses us is left alone.
	refusedPause = 10 * time.Minute
	// mostPanics is how often a message may break our own code.
	mostPanics = 3
)

// errPanic is wrapped by a send that broke our own code.
var errPanic = errors.New("panic")

// form is how a delivery is worded: in full, or after a refusal as plain text.
type form uint8

const (
	inFull form = iota
	asPlain
)

const rejectedPrefix = "rejected: "

// formOf says how to word an attempt, by what became of the last one.
func formOf(d chokepoint.Delivery) form {
	if strings.HasPrefix(d.LastErr, rejectedPrefix) {
		return asPlain
	}
	return inFull
}

// panics is how often in a row a delivery has broken our own code.
func panics(d chokepoint.Delivery) int {
	n := 0
	_, _ = fmt.Sscanf(d.LastErr, "broke %d of", &n) // 0 unless the last attempt did
	return n
}

// settle turns what became of a send into an outcome. It is pure. posting is
// where the story stands if the send went well; pace is the lane's after it.
func settle(now time.Time, g chokepoint.Grant, l Limits, posting *chokepoint.Posting, pace chokepoint.Pace, err error) chokepoint.Outcome {
	if err == nil {
		return chokepoint.Outcome{Kind: chokepoint.Sent, Posting: posting, Pace: pace}
	}
	var e *SendError
	if !errors.As(err, &e) {
		e = &SendError{Class: Transient, Err: err}
	}
	d := g.Delivery
	retry := func(reason string, pause time.Duration) chokepoint.Outcome {
		if d.Attempts > 0 && now.Sub(d.Queued) > giveUp {
			return chokepoint.Outcome{Kind: chokepoint.Dead, Reason: "given up after a day: " + reason, Pace: pace, Unknown: e.Class == Unknown}
		}
		return chokepoint.Outcome{Kind: chokepoint.Retry, NotBefore: now.Add(pause), Reason: reason, Pace: pace, Unknown: e.Class == Unknown}
	}
	reason := e.Error()
	switch e.Class {
	case RateLimited:
		return chokepoint.Outcome{Kind: chokepoint.Snooze, Hold: true, NotBefore: now.Add(max(e.Wait, time.Second)), Reason: reason, Pace: g.Pace}
	case Unauthorized:
		return chokepoint.Outcome{Kind: chokepoint.Snooze, Hold: true, NotBefore: now.Add(refusedPause), Reason: reason, Pace: g.Pace}
	case ChatGone:
		return chokepoint.Outcome{Kind: chokepoint.Dead, Gone: true, Reason: reason, Pace: pace}
	case Moved:
		return chokepoint.Outcome{Kind: chokepoint.Retry, NotBefore: now, Moved: e.To, Reason: reason, Pace: g.Pace}
	case MessageGone:
		return retry(reason, 0)
	case Rejected:
		if formOf(d) == inFull {
			return retry(rejectedPrefix+e.Err.Error(), 0)
		}
		return chokepoint.Outcome{Kind: chokepoint.Dead, Reason: rejectedPrefix + e.Err.Error(), Pace: pace}
	case Unknown:
		if l.Dedups {
			// The same key again: the platform shows it once.
			return retry(reason, pauseAfter(d))
		}
		if d.Unknown == 0 && g.Alert.Severity >= chokepoint.Notice {
			return retry(reason, pauseAfter(d))
		}
		if g.Alert.Severity >= chokepoint.Notice {
			// Perhaps it was shown twice, perhaps never: a person decides.
			return chokepoint.Outcome{Kind: chokepoint.Dead, Reason: reason, Pace: pace, Unknown: true}
		}
		return chokepoint.Outcome{Kind: chokepoint.Dropped, Reason: reason, Pace: pace, Unknown: true}
	default:
		if errors.Is(e.Err, errPanic) {
			n := panics(d) + 1
			reason = fmt.Sprintf("broke %d of %d: %v", n, mostPanics, e.Err)
			if n >= mostPanics {
				return chokepoint.Outcome{Kind: chokepoint.Dead, Reason: reason, Pace: pace}
			}
		}
		return retry(reason, pauseAfter(d))
	}
}

// pauseAfter grows from about a second to five minutes, and differs from
// delivery to delivery so that those that failed together do not come back
// together.
func pauseAfter(d chokepoint.Delivery) time.Duration {
	pause := longestPause
	if d.Attempts < 9 {
		pause = min(time.Second<<d.Attempts, longestPause)
	}
	var seed [8]byte
	copy(seed[:], chokepoint.ShortHash(8, string(d.ID), string(rune('a'+d.Attempts%26))))
	share := float64(binary.LittleEndian.Uint64(seed[:])%1000) / 1000
	return time.Duration(float64(pause) * (0.75 + share/2))
}
