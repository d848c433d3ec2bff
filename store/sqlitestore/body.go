package sqlitestore

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

// nano is a time as columns hold it; what is out of their range (1678 to
// 2262) is put at its end.
func nano(t time.Time) int64 {
	switch {
	case t.IsZero():
		return 0
	case t.Year() < 1678:
		return math.MinInt64
	case t.Year() > 2261:
		return math.MaxInt64
	}
	return t.UnixNano()
}

// moment is what nano made of a time.
func moment(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

// encode makes a body. Times in it are made UTC by those who made them.
func encode(v any) (string, error) {
	b, err := json.Marshal(v)
	return string(b), err
}

// decode reads a body that encode made.
func decode(body string, v any) error {
	if err := json.Unmarshal([]byte(body), v); err != nil {
		return damaged(fmt.Sprintf("a %T can not be read: %v", v, err))
	}
	return nil
}

// number is a position as columns hold it; 0 is the beginning.
func number(p chokepoint.Position) (int64, error) {
	if p == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(string(p), 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%q is no position of this store", p)
	}
	return n, nil
}

// position is what number made of one.
func position(n int64) chokepoint.Position {
	if n == 0 {
		return ""
	}
	return chokepoint.Position(strconv.FormatInt(n, 10))
}

func yes(b bool) int {
	if b {
		return 1
	}
	return 0
}
