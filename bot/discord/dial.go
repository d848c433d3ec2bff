package discord

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/net/proxy"
)

// dial makes the connection that a link is on: TCP, and TLS over it. It goes
// the way that REST goes: by the same proxy, with the same roots.
func dial(ctx context.Context, via *http.Transport, addr string, secure bool) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	c, err := through(ctx, via, addr, secure)
	if err != nil || !secure {
		return c, err
	}
	cfg := &tls.Config{}
	if via.TLSClientConfig != nil {
		cfg = via.TLSClientConfig.Clone()
	}
	cfg.NextProtos = nil // WebSocket is HTTP/1.1
	if cfg.ServerName, _, err = net.SplitHostPort(addr); err != nil {
		c.Close()
		return nil, err
	}
	t := tls.Client(c, cfg)
	if err := t.HandshakeContext(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return t, nil
}

// through is a TCP connection to addr, by the proxy that via names for it.
func through(ctx context.Context, via *http.Transport, addr string, secure bool) (net.Conn, error) {
	scheme := "http"
	if secure {
		scheme = "https"
	}
	var by *url.URL
	if via.Proxy != nil {
		var err error
		if by, err = via.Proxy(&http.Request{URL: &url.URL{Scheme: scheme, Host: addr}}); err != nil {
			return nil, err
		}
	}
	direct := &net.Dialer{}
	switch {
	case by == nil:
		return direct.DialContext(ctx, "tcp", addr)
	case by.Scheme == "http":
		return tunnel(ctx, direct, by, addr)
	}
	d, err := proxy.FromURL(by, direct)
	if err != nil {
		return nil, fmt.Errorf("proxy of kind %q: %w", by.Scheme, err)
	}
	if d, ok := d.(proxy.ContextDialer); ok {
		return d.DialContext(ctx, "tcp", addr)
	}
	return d.Dial("tcp", addr)
}

// tunnel asks an HTTP proxy for a connection to addr.
// https://www.rfc-editor.org/rfc/rfc9110#section-9.3.6
func tunnel(ctx context.Context, direct *net.Dialer, by *url.URL, addr string) (net.Conn, error) {
	host := by.Host
	if by.Port() == "" {
		host = net.JoinHostPort(by.Hostname(), "80")
	}
	c, err := direct.DialContext(ctx, "tcp", host)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	q := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: addr}, Host: addr, Header: http.Header{}}
	if by.User != nil {
		password, _ := by.User.Password()
		q.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(by.User.Username()+":"+password)))
	}
	if err := q.Write(c); err != nil {
		c.Close()
		return nil, err
	}
	// The other end says nothing before we do, so that nothing is read too far.
	resp, err := http.ReadResponse(bufio.NewReader(c), q)
	if err != nil {
		c.Close()
		return nil, err
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		c.Close()
		return nil, fmt.Errorf("the proxy answered %s", resp.Status)
	}
	return c, nil
}
