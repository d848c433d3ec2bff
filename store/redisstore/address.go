package redisstore

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// address is a store's URL taken apart.
type address struct {
	options redis.UniversalOptions
	prefix  string
	shown   string // the URL without its secrets, for errors
}

const forms = "redis://[user:password@]host:port[/db], rediss://… (TLS), redis+sentinel://host:port,host:port/master or redis+cluster://host:port,host:port"

// parse reads a URL. Its errors never quote the URL, which may hold a password.
func parse(raw string) (address, error) {
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return address{}, errors.New("not a URL: write " + forms)
	}
	// net/url refuses several hosts, so they are taken out before it looks.
	rest, query, _ := strings.Cut(rest, "?")
	authority, path, _ := strings.Cut(rest, "/")
	user, hosts := "", authority
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		user, hosts = authority[:i+1], authority[i+1:]
	}
	u, err := url.Parse("redis://" + user + "host/" + path)
	if err != nil {
		return address{}, errors.New("the user, password or path is not well written: percent-encode what is no letter or digit in them")
	}
	q, err := url.ParseQuery(query)
	if err != nil {
		return address{}, errors.New("what follows the ? is not well written")
	}
	a := address{prefix: "cp", shown: scheme + "://" + hosts}
	if path != "" {
		a.shown += "/" + path
	}
	o := &a.options
	*o = redis.UniversalOptions{
		// A command whose reply was lost may have been executed: whoever
		// called decides what to do about it, not the library.
		MaxRetries: -1, DialerRetries: 1,
		DialTimeout: 2 * time.Second, ReadTimeout: 3 * time.Second, WriteTimeout: 3 * time.Second,
		ContextTimeoutEnabled: true, DisableIdentity: true,
		// One pool for all: a second one for pipelines would find out by itself,
		// later, that a master has changed.
		PipelinePoolSize:         -1,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	o.Username = u.User.Username()
	o.Password, _ = u.User.Password()
	port, name := "6379", strings.TrimPrefix(u.Path, "/")
	switch scheme {
	case "rediss":
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	case "redis":
	case "redis+cluster":
		o.IsClusterMode = true
	case "redis+sentinel":
		o.MasterName, port = name, "26379"
		if name == "" {
			return address{}, errors.New("name the master that the sentinels watch: redis+sentinel://host:port,host:port/master")
		}
	default:
		return address{}, errors.New("its scheme is none of " + forms)
	}
	for _, h := range strings.Split(hosts, ",") {
		addr, err := hostPort(h, port)
		if err != nil {
			return address{}, err
		}
		o.Addrs = append(o.Addrs, addr)
	}
	if len(o.Addrs) > 1 && o.MasterName == "" && !o.IsClusterMode {
		return address{}, errors.New("several hosts need redis+sentinel:// or redis+cluster://")
	}
	if o.TLSConfig != nil && net.ParseIP(host(o.Addrs[0])) == nil {
		o.TLSConfig.ServerName = host(o.Addrs[0])
	}
	db := q.Get("db")
	if scheme == "redis" || scheme == "rediss" {
		if name != "" {
			db = name
		}
	} else if o.IsClusterMode && (name != "" || db != "") {
		return address{}, errors.New("a cluster has no numbered databases: leave it out, and use ?prefix= to keep two stores apart")
	}
	if db != "" {
		if o.DB, err = strconv.Atoi(db); err != nil || o.DB < 0 {
			return address{}, fmt.Errorf("%q is no number of a database", db)
		}
	}
	for key, values := range q {
		value := values[len(values)-1]
		switch key {
		case "db":
		case "prefix":
			a.prefix = value
		case "tls":
			if value != "true" {
				return address{}, errors.New("tls can only be true")
			}
			o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		case "sentinel_username":
			o.SentinelUsername = value
		case "sentinel_password":
			o.SentinelPassword = value
		default:
			return address{}, fmt.Errorf("%q is not known after the ?: use db, prefix, tls, sentinel_username or sentinel_password", key)
		}
	}
	// Braces would take the place of the keys' own hash tags.
	if a.prefix == "" || strings.ContainsAny(a.prefix, "{} \t\r\n") {
		return address{}, errors.New("the prefix must not be empty and not hold braces or spaces")
	}
	return a, nil
}

func hostPort(s, port string) (string, error) {
	if s == "" {
		return "", errors.New("a host is missing: write " + forms)
	}
	if _, _, err := net.SplitHostPort(s); err == nil {
		return s, nil
	}
	s = net.JoinHostPort(strings.Trim(s, "[]"), port)
	if _, _, err := net.SplitHostPort(s); err != nil {
		return "", errors.New("a host is not well written: write " + forms)
	}
	return s, nil
}

func host(addr string) string {
	h, _, _ := net.SplitHostPort(addr)
	return h
}
