package sqlitestore

import (
	"context"
	"fmt"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

func (s *Store) Acquire(ctx context.Context, now time.Time, name, holder string, ttl time.Duration) (chokepoint.Lease, error) {
	l := chokepoint.Lease{Name: name, Holder: holder, Expires: now.Add(ttl)}
	err := s.write(ctx, "acquire "+name, func(tx *tx) error {
		var has string
		var expires int64
		found, err := tx.row(`SELECT holder, expires FROM leases WHERE name = ?`, []any{name}, &has, &expires)
		if err != nil {
			return err
		}
		if found && has != "" && has != holder && nano(now) < expires {
			return chokepoint.ErrLeaseHeld
		}
		_, err = tx.row(`INSERT INTO leases (name, holder, token, expires) VALUES (?, ?, 1, ?)
			ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, token = token + 1, expires = excluded.expires
			RETURNING token`, []any{name, holder, nano(l.Expires)}, &l.Token)
		return err
	})
	if err != nil {
		return chokepoint.Lease{}, err
	}
	return l, nil
}

func (s *Store) Renew(ctx context.Context, now time.Time, l chokepoint.Lease, ttl time.Duration) (chokepoint.Lease, error) {
	l.Expires = now.Add(ttl)
	err := s.write(ctx, "renew "+l.Name, func(tx *tx) error {
		n, err := tx.changed(`UPDATE leases SET expires = ? WHERE name = ? AND holder = ? AND token = ? AND holder <> ''`,
			nano(l.Expires), l.Name, l.Holder, l.Token)
		if err == nil && n == 0 {
			return chokepoint.ErrLeaseLost
		}
		return err
	})
	if err != nil {
		return chokepoint.Lease{}, err
	}
	return l, nil
}

func (s *Store) Release(ctx context.Context, l chokepoint.Lease) error {
	return s.write(ctx, "release "+l.Name, func(tx *tx) error {
		return tx.exec(`UPDATE leases SET holder = '', expires = 0 WHERE name = ? AND holder = ? AND token = ?`, l.Name, l.Holder, l.Token)
	})
}

// holds is chokepoint.ErrLeaseLost unless l holds at now.
func (t *tx) holds(l chokepoint.Lease, now time.Time) error {
	var one int
	found, err := t.row(`SELECT 1 FROM leases WHERE name = ? AND holder = ? AND token = ? AND holder <> '' AND expires > ?`,
		[]any{l.Name, l.Holder, l.Token, nano(now)}, &one)
	if err == nil && !found {
		return fmt.Errorf("%s (token %d): %w", l.Name, l.Token, chokepoint.ErrLeaseLost)
	}
	return err
}
