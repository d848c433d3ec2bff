package redisstore

import (
	"slices"
	"strings"
	"testing"
)

func TestAddressesAreTakenApart(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, url, addrs, user, password, master, prefix, shown string
		db                                                      int
		tls, cluster                                            bool
	}{
		{name: "a host alone has the usual port", url: "redis://redis.example", addrs: "redis.example:6379", prefix: "cp", shown: "redis://redis.example"},
		{name: "user, password and database", url: "redis://bot:p%40ss@10.0.0.1:7000/3", addrs: "10.0.0.1:7000", user: "bot", password: "p@ss", db: 3, prefix: "cp", shown: "redis://10.0.0.1:7000/3"},
		{name: "a password alone, with an @ in it", url: "redis://:a@b@10.0.0.1", addrs: "10.0.0.1:6379", password: "a@b", prefix: "cp", shown: "redis://10.0.0.1"},
		{name: "TLS and a prefix", url: "rediss://redis.example:6380?prefix=demo", addrs: "redis.example:6380", tls: true, prefix: "demo", shown: "rediss://redis.example:6380"},
		{name: "an IPv6 address", url: "redis://[::1]:7000", addrs: "[::1]:7000", prefix: "cp", shown: "redis://[::1]:7000"},
		{name: "an IPv6 address without a port", url: "redis://[::1]", addrs: "[::1]:6379", prefix: "cp", shown: "redis://[::1]"},
		{name: "sentinels", url: "redis+sentinel://u:p@a,b:1/main?db=2&tls=true", addrs: "a:26379 b:1", user: "u", password: "p", master: "main", db: 2, tls: true, prefix: "cp", shown: "redis+sentinel://a,b:1/main"},
		{name: "a cluster", url: "redis+cluster://u:p@a:1,b:2,c", addrs: "a:1 b:2 c:6379", user: "u", password: "p", cluster: true, prefix: "cp", shown: "redis+cluster://a:1,b:2,c"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			a, err := parse(tc.url)
			if err != nil {
				t.Fatal(err)
			}
			o := a.options
			if !slices.Equal(o.Addrs, strings.Fields(tc.addrs)) || o.Username != tc.user || o.Password != tc.password || o.MasterName != tc.master ||
				o.DB != tc.db || (o.TLSConfig != nil) != tc.tls || o.IsClusterMode != tc.cluster || a.prefix != tc.prefix || a.shown != tc.shown {
				t.Errorf("got %v, user %q, password %q, master %q, db %d, TLS %t, cluster %t, prefix %q, shown as %q", o.Addrs, o.Username, o.Password, o.MasterName, o.DB, o.TLSConfig != nil, o.IsClusterMode, a.prefix, a.shown)
			}
		})
	}
}

func TestAddressesThatAreNoneAreRefusedWithoutTheirPassword(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, url, want string }{
		{"no scheme", "hunter2@host:6379", "not a URL"},
		{"another scheme", "http://u:hunter2@host", "scheme"},
		{"no host", "redis://:hunter2@", "host is missing"},
		{"a bad escape in the password", "redis://u:hunter2%zz@host", "percent-encode"},
		{"two hosts of one server", "redis://u:hunter2@a,b", "redis+cluster://"},
		{"sentinels without a master", "redis+sentinel://u:hunter2@a", "name the master"},
		{"a database of a cluster", "redis+cluster://u:hunter2@a/1", "?prefix="},
		{"a database that is no number", "redis://u:hunter2@a/one", `"one" is no number`},
		{"an option that is not known", "redis://u:hunter2@a?timeout=5s", `"timeout" is not known`},
		{"a prefix with a hash tag of its own", "redis://u:hunter2@a?prefix={x}", "braces"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := parse(tc.url)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("error is %v, want one with %q", err, tc.want)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Fatalf("the password is in the error: %v", err)
			}
		})
	}
}
