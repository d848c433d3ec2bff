package storetest

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

var leaseTests = []test{
	{"a lease is exclusive until it runs out", func(c *client) {
		l := c.acquire(at(0), "source/sec", "a", time.Minute)
		c.same(l, chokepoint.Lease{Name: "source/sec", Holder: "a", Token: l.Token, Expires: at(60)}, "lease")
		_, err := c.s.Acquire(c.ctx, at(59.999), "source/sec", "b", time.Minute)
		c.fails(err, chokepoint.ErrLeaseHeld, "acquire what another holds")
		taken := c.acquire(at(60), "source/sec", "b", time.Minute)
		if taken.Token <= l.Token {
			c.Fatalf("token %d after %d, want a greater one", taken.Token, l.Token)
		}
	}},
	{"names are apart", func(c *client) {
		c.acquire(at(0), "source/sec", "a", time.Minute)
		c.acquire(at(0), "source/tceq", "b", time.Minute)
	}},
	{"its holder gets it again under a new token, and the old one is void", func(c *client) {
		l := c.acquire(at(0), "w", "a", time.Minute)
		again := c.acquire(at(10), "w", "a", time.Minute)
		if again.Token <= l.Token || !again.Expires.Equal(at(70)) {
			c.Fatalf("again: %+v after %+v", again, l)
		}
		_, err := c.s.Renew(c.ctx, at(11), l, time.Minute)
		c.fails(err, chokepoint.ErrLeaseLost, "renew under the old token")
	}},
	{"renewing extends it under the same token", func(c *client) {
		l := c.acquire(at(0), "w", "a", time.Minute)
		r, err := c.s.Renew(c.ctx, at(30), l, time.Minute)
		c.ok(err, "renew")
		c.same(r, chokepoint.Lease{Name: "w", Holder: "a", Token: l.Token, Expires: at(90)}, "renewed lease")
		_, err = c.s.Acquire(c.ctx, at(89), "w", "b", time.Minute)
		c.fails(err, chokepoint.ErrLeaseHeld, "acquire what was renewed")
	}},
	{"one that ran out can be renewed while nobody else took it", func(c *client) {
		l := c.acquire(at(0), "w", "a", time.Minute)
		r, err := c.s.Renew(c.ctx, at(300), l, time.Minute)
		c.ok(err, "renew")
		if !r.Expires.Equal(at(360)) || r.Token != l.Token {
			c.Fatalf("renewed: %+v", r)
		}
	}},
	{"one that was overtaken can not be renewed, nor can its release harm", func(c *client) {
		l := c.acquire(at(0), "w", "a", time.Minute)
		c.acquire(at(61), "w", "b", time.Minute)
		_, err := c.s.Renew(c.ctx, at(62), l, time.Minute)
		c.fails(err, chokepoint.ErrLeaseLost, "renew what was overtaken")
		c.ok(c.s.Release(c.ctx, l), "release what was overtaken")
		_, err = c.s.Acquire(c.ctx, at(63), "w", "c", time.Minute)
		c.fails(err, chokepoint.ErrLeaseHeld, "acquire after a stale release")
	}},
	{"released it is free at once, and may be released twice", func(c *client) {
		l := c.acquire(at(0), "w", "a", time.Minute)
		c.ok(c.s.Release(c.ctx, l), "release")
		c.ok(c.s.Release(c.ctx, l), "release again")
		_, err := c.s.Renew(c.ctx, at(1), l, time.Minute)
		c.fails(err, chokepoint.ErrLeaseLost, "renew what was released")
		next := c.acquire(at(1), "w", "b", time.Minute)
		if next.Token <= l.Token {
			c.Fatalf("token %d after a release of %d, want a greater one", next.Token, l.Token)
		}
		c.ok(c.s.Release(c.ctx, l), "release a third time")
		_, err = c.s.Acquire(c.ctx, at(2), "w", "c", time.Minute)
		c.fails(err, chokepoint.ErrLeaseHeld, "acquire after a stale release")
	}},
	{"releasing what never was is no error", func(c *client) {
		c.ok(c.s.Release(c.ctx, chokepoint.Lease{Name: "never", Holder: "a", Token: 7}), "release")
		_, err := c.s.Renew(c.ctx, at(0), chokepoint.Lease{Name: "never", Holder: "a", Token: 7}, time.Minute)
		c.fails(err, chokepoint.ErrLeaseLost, "renew what never was")
	}},
	{"of many that ask at once one gets it", func(c *client) {
		var won atomic.Int32
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				_, err := c.s.Acquire(c.ctx, at(0), "w", string(rune('a'+i)), time.Minute)
				if err == nil {
					won.Add(1)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			c.Fatalf("%d hold it, want 1", won.Load())
		}
	}},
	{"another replica is kept out too", func(c *client) {
		if c.h.Another == nil {
			c.Skip("this back end allows one process only")
		}
		l := c.acquire(at(0), "w", "a", time.Minute)
		other := c.h.Another()
		_, err := other.Acquire(c.ctx, at(1), "w", "b", time.Minute)
		c.fails(err, chokepoint.ErrLeaseHeld, "acquire on another replica")
		taken, err := other.Acquire(c.ctx, at(61), "w", "b", time.Minute)
		c.ok(err, "acquire on another replica what ran out")
		if taken.Token <= l.Token {
			c.Fatalf("token %d after %d, want a greater one", taken.Token, l.Token)
		}
	}},
}
