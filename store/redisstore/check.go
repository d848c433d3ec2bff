package redisstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"syscall"

	"github.com/redis/go-redis/v9"
)

// oldest is the first version that has all that the scripts use: ZADD LT and
// ZRANGE BYLEX. https://redis.io/docs/latest/commands/zadd/
var oldest = [2]int{6, 2}

// check refuses a server that would lose what it was given, and warns of one
// that might.
func (s *Store) check(ctx context.Context) error {
	if c, ok := s.rdb.(*redis.ClusterClient); ok {
		// Each master is asked; ForEachMaster asks them concurrently.
		return s.explain(c.ForEachMaster(ctx, func(ctx context.Context, c *redis.Client) error {
			return s.checkNode(ctx, c, c.Options().Addr, true)
		}))
	}
	return s.explain(s.checkNode(ctx, s.rdb, s.where, false))
}

// checkNode checks one server, called addr in its errors.
func (s *Store) checkNode(ctx context.Context, c redis.Cmdable, addr string, cluster bool) error {
	text, err := c.Info(ctx).Result()
	if err != nil {
		return err
	}
	refusals, warnings := judge(parseInfo(text), cluster)
	for _, w := range warnings {
		s.log.LogAttrs(ctx, slog.LevelWarn, "redis may lose what it is given", slog.String("server", addr), slog.String("why", w))
	}
	if len(refusals) > 0 {
		return fmt.Errorf("%s: %w", addr, errors.Join(refusals...))
	}
	return nil
}

// parseInfo reads the lines "name:value" of INFO.
// https://redis.io/docs/latest/commands/info/
func parseInfo(text string) map[string]string {
	info := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), ":"); ok {
			info[name] = value
		}
	}
	return info
}

// judge says what speaks against a server that was addressed as part of a
// cluster or not: refusals, each with its remedy, and warnings. What INFO does
// not tell is not held against it.
func judge(info map[string]string, cluster bool) (refusals []error, warnings []string) {
	refuse := func(err error) { refusals = append(refusals, setupError{err}) }
	if v, ok := info["redis_version"]; ok && older(v) {
		refuse(fmt.Errorf("it is Redis %s, and %d.%d is needed: upgrade it", v, oldest[0], oldest[1]))
	}
	if role := info["role"]; role == "slave" {
		// Not for good: it may be about to be made master.
		refusals = append(refusals, fmt.Errorf("it is a replica and takes no writes: give the address of its master, %s:%s, or use redis+sentinel://", info["master_host"], info["master_port"]))
	}
	if info["cluster_enabled"] == "1" && !cluster {
		refuse(errors.New("it is part of a cluster: use redis+cluster:// for it"))
	}
	if p, ok := info["maxmemory_policy"]; ok && p != "noeviction" {
		refuse(fmt.Errorf("its maxmemory-policy is %s, under which it deletes what is still owed: set it to noeviction (CONFIG SET maxmemory-policy noeviction, and in redis.conf)", p))
	}
	if info["aof_enabled"] == "0" {
		warnings = append(warnings, "appendonly is off: what was written since its last snapshot is gone when it restarts; set appendonly yes and appendfsync everysec or always")
	}
	return refusals, warnings
}

// older says whether a version such as "6.0.16" is older than needed.
func older(version string) bool {
	parts := strings.SplitN(version, ".", 3)
	for i, want := range oldest {
		if i >= len(parts) {
			return want > 0
		}
		got, err := strconv.Atoi(parts[i])
		if err != nil || got != want {
			return err == nil && got < want
		}
	}
	return false
}

// explain adds to an error what a person can do about it.
func (s *Store) explain(err error) error {
	var remedy string
	setup := false
	var dial *net.OpError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, redis.ErrClosed), errors.Is(err, errClosed), errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, syscall.ECONNREFUSED):
		remedy = "nothing listens at " + s.where + ": start redis-server, or give the right host and port"
	case errors.As(err, &dial) && dial.Op == "dial":
		remedy = s.where + " can not be reached: check the host, the port and the network between"
	case redis.HasErrorPrefix(err, "WRONGPASS"):
		setup = true
		remedy = s.where + " does not take this user and password: check them"
	case redis.HasErrorPrefix(err, "NOAUTH"):
		setup = true
		remedy = s.where + " asks for a password: put it into the URL (redis://user:password@host:port)"
	case redis.HasErrorPrefix(err, "NOPERM"):
		setup = true
		remedy = "this user of " + s.where + " lacks a right: it needs +@read +@write +@scripting +@transaction +@connection +info, on a cluster +cluster, and the store's keys (~cp:* or as the prefix is)"
	case redis.HasErrorPrefix(err, "OOM"):
		remedy = s.where + " is out of memory and refuses writes: raise maxmemory, or shorten how long things are kept; nothing that was acknowledged is lost"
	case redis.HasErrorPrefix(err, "READONLY"):
		remedy = s.where + " is a replica and takes no writes: give its master's address, or use redis+sentinel://"
	case redis.HasErrorPrefix(err, "MISCONF"):
		remedy = s.where + " can not save to its disk and refuses writes: look at its log; free some space"
	case redis.HasErrorPrefix(err, "LOADING"):
		remedy = s.where + " is still loading its data: wait"
	case redis.HasErrorPrefix(err, "CLUSTERDOWN"):
		remedy = "the cluster of " + s.where + " does not serve all slots: bring its masters back"
	case redis.HasErrorPrefix(err, "This instance has cluster support disabled"):
		setup = true
		remedy = s.where + " is no cluster: use redis:// for it"
	case timedOut(err):
		remedy = s.where + " does not answer in time: it may be overloaded, frozen or cut off"
	default:
		return err
	}
	err = fmt.Errorf("%s: %w", remedy, err)
	if setup {
		return setupError{err}
	}
	return err
}

func timedOut(err error) bool {
	var t net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &t) && t.Timeout()
}
