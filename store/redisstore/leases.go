package redisstore

import (
	"context"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

// acquire grants a lease. A lease's record stays when it ends, so that its
// token grows on.
//
//	ARGV    now, name, holder, when it is to run out
//	touches leases
//	returns {token}, or {} if another holds it
var acquire = coreScript(`
local now, name, holder, expires = number(), take(), take(), number()
local l = call('HGET', leases, name)
l = l and decode(l) or { '', 0, 0 }
if l[3] > now and l[1] ~= holder then return {} end
call('HSET', leases, name, encode({ holder, l[2] + 1, expires }))
return { l[2] + 1 }
`)

// renew extends a lease that nobody took and nobody released.
//
//	ARGV    name, holder, token, when it is to run out; 0 releases it
//	touches leases
//	returns {1}, or {} if it is lost
var renew = coreScript(`
local name, holder, token, expires = take(), take(), number(), number()
local l = call('HGET', leases, name)
if not l then return {} end
l = decode(l)
if l[1] ~= holder or l[2] ~= token or l[3] == 0 then return {} end
call('HSET', leases, name, encode({ holder, token, expires }))
return { 1 }
`)

// Acquire grants a lease.
func (s *Store) Acquire(ctx context.Context, now time.Time, name, holder string, ttl time.Duration) (chokepoint.Lease, error) {
	l := chokepoint.Lease{Name: name, Holder: holder}
	ms, expires := expiry(now, ttl)
	err := s.with(ctx, func() error {
		r, err := s.run(ctx, acquire, args{millis(now), name, holder, ms})
		if err != nil {
			return err
		}
		if len(r.list) == 0 {
			return chokepoint.ErrLeaseHeld
		}
		l.Token, l.Expires = r.int(), expires
		return r.err
	})
	if err != nil {
		return chokepoint.Lease{}, wrap(err, "acquiring the lease %s for %s", name, holder)
	}
	return l, nil
}

// Renew extends a lease.
func (s *Store) Renew(ctx context.Context, now time.Time, l chokepoint.Lease, ttl time.Duration) (chokepoint.Lease, error) {
	ms, expires := expiry(now, ttl)
	err := s.with(ctx, func() error {
		r, err := s.run(ctx, renew, args{l.Name, l.Holder, l.Token, ms})
		if err == nil && len(r.list) == 0 {
			err = chokepoint.ErrLeaseLost
		}
		return err
	})
	if err != nil {
		return chokepoint.Lease{}, wrap(err, "renewing the lease %s of %s", l.Name, l.Holder)
	}
	l.Expires = expires
	return l, nil
}

// Release gives a lease back.
func (s *Store) Release(ctx context.Context, l chokepoint.Lease) error {
	err := s.with(ctx, func() error {
		_, err := s.run(ctx, renew, args{l.Name, l.Holder, l.Token, 0})
		return err
	})
	return wrap(err, "releasing the lease %s of %s", l.Name, l.Holder)
}
