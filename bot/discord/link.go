package discord

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

const (
	// readyWithin bounds the dialling, and then the time to READY or RESUMED.
	readyWithin = 20 * time.Second
	// writeWithin bounds one write to the gateway.
	writeWithin = 10 * time.Second
	// frameMost bounds one frame from the gateway, in bytes: a GUILD_CREATE of
	// a very large guild is some megabytes.
	frameMost = 32 << 20
	// frameSmall is what we look into: Hello, acknowledgements and the like are
	// some hundred bytes.
	frameSmall = 4096
)

// What ends a connection beside the network.
var errReconnect = errors.New("the gateway asks to reconnect")

// invalidSession is op 9.
type invalidSession struct{ resumable bool }

func (e invalidSession) Error() string {
	return fmt.Sprintf("invalid session, resumable: %t", e.resumable)
}

// closedWith is the code that the gateway closed with.
// https://discord.com/developers/docs/topics/opcodes-and-status-codes#gateway-gateway-close-event-codes
type closedWith struct {
	code int
	why  string
}

func (e closedWith) Error() string {
	return fmt.Sprintf("the gateway closed with %d %s", e.code, e.why)
}

// link is a connection to the gateway as the library sees it. It reads along,
// frame by frame, because what the library does with some of them cannot be
// had:
//
//   - op 7 and op 9 end the connection, with their cause known; the library
//     would deadlock on the first before READY, and answer the second with an
//     Identify whatever it says;
//   - an acknowledgement (op 11) moves the deadline for reading on by two
//     heartbeats, so that a dead connection ends after two and not after five;
//     before READY it is withheld, where it would deadlock;
//   - a close code is kept; the library drops it;
//   - once the connection has ended nothing more is written to it: the library
//     would close with 1000, which ends the session.
type link struct {
	net.Conn
	in *bufio.Reader

	upgraded bool   // the HTTP answer is through
	plain    bool   // it was no upgrade: what follows is no WebSocket
	ready    []byte // read, and not yet handed on
	rest     int64  // of a large frame, to be handed on as it comes

	mu        sync.Mutex
	heartbeat time.Duration
	open      bool        // READY or RESUMED is through
	stop      func() bool // of what waits for the context
	cause     error
	over      chan struct{} // closed with cause set
}

// newLink is over c until ctx is done, or until READY does not come in time.
func newLink(ctx context.Context, c net.Conn, ready time.Duration) (*link, error) {
	if err := c.SetReadDeadline(time.Now().Add(ready)); err != nil {
		c.Close()
		return nil, err
	}
	l := &link{Conn: c, in: bufio.NewReaderSize(c, frameSmall), over: make(chan struct{})}
	stop := context.AfterFunc(ctx, func() { l.end(context.Cause(ctx)) })
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stop = stop
	return l, nil
}

// The library's own deadlines are not wanted: it takes back those for reading.

func (l *link) SetDeadline(time.Time) error      { return nil }
func (l *link) SetReadDeadline(time.Time) error  { return nil }
func (l *link) SetWriteDeadline(time.Time) error { return nil }

func (l *link) Read(p []byte) (int, error) {
	for len(l.ready) == 0 && l.rest == 0 {
		if err := l.next(); err != nil {
			l.end(err)
			return 0, l.cause
		}
	}
	if len(l.ready) > 0 {
		n := copy(p, l.ready)
		l.ready = l.ready[n:]
		return n, nil
	}
	n, err := l.in.Read(p[:min(int64(len(p)), l.rest)])
	l.rest -= int64(n)
	if err != nil {
		l.end(err)
		return n, l.cause
	}
	return n, nil
}

// next reads on: a line of the HTTP answer, or a frame, whole if it is small.
func (l *link) next() error {
	switch {
	case l.plain:
		b, err := l.in.ReadByte()
		l.ready = []byte{b}
		return err
	case !l.upgraded:
		line, err := l.in.ReadBytes('\n')
		if err != nil {
			return err
		}
		if bytes.HasPrefix(line, []byte("HTTP/")) {
			l.plain = !bytes.HasPrefix(line, []byte("HTTP/1.1 101 "))
		}
		l.upgraded = len(bytes.TrimSpace(line)) == 0
		l.ready = line
		return nil
	}
	return l.frame()
}

// frame reads the head of a frame, and its payload if it is small.
// https://www.rfc-editor.org/rfc/rfc6455#section-5.2
func (l *link) frame() error {
	head := make([]byte, 2, 14)
	if _, err := io.ReadFull(l.in, head); err != nil {
		return err
	}
	size := int64(head[1] & 0x7f)
	extra := 0
	switch size {
	case 126:
		extra = 2
	case 127:
		extra = 8
	}
	head = head[:2+extra]
	if _, err := io.ReadFull(l.in, head[2:]); err != nil {
		return err
	}
	switch extra {
	case 2:
		size = int64(binary.BigEndian.Uint16(head[2:]))
	case 8:
		size = int64(binary.BigEndian.Uint64(head[2:]) & (1<<63 - 1))
	}
	if size > frameMost {
		return fmt.Errorf("a frame of %d bytes, at most %d", size, int64(frameMost))
	}
	const (
		final     = 0x80
		textFrame = 1
		closing   = 8
	)
	opcode := head[0] & 0x0f
	if head[1]&0x80 != 0 || size > frameSmall || head[0]&final == 0 || opcode != textFrame && opcode != closing {
		l.ready, l.rest = head, size
		return nil
	}
	payload := make([]byte, size)
	if _, err := io.ReadFull(l.in, payload); err != nil {
		return err
	}
	if opcode == closing {
		e := closedWith{code: 1005} // none given. RFC 6455, 7.1.5
		if len(payload) >= 2 {
			e = closedWith{int(binary.BigEndian.Uint16(payload)), string(payload[2:])}
		}
		return e
	}
	keep, err := l.look(payload)
	if err != nil {
		return err
	}
	if keep {
		l.ready = append(head, payload...)
	}
	return nil
}

// look reads a small payload. keep is false if the library must not see it.
func (l *link) look(payload []byte) (keep bool, err error) {
	var p struct {
		Op int             `json:"op"`
		D  json.RawMessage `json:"d"`
	}
	if json.Unmarshal(payload, &p) != nil {
		return true, nil
	}
	switch p.Op {
	case 7:
		return false, errReconnect
	case 9:
		return false, invalidSession{string(p.D) == "true"}
	case 10:
		var hello struct {
			Interval int64 `json:"heartbeat_interval"` // ms
		}
		if err := json.Unmarshal(p.D, &hello); err != nil || hello.Interval <= 0 {
			return false, errors.New("a Hello without a heartbeat interval")
		}
		l.mu.Lock()
		l.heartbeat = time.Duration(hello.Interval) * time.Millisecond
		l.mu.Unlock()
	case 11:
		l.mu.Lock()
		defer l.mu.Unlock()
		if !l.open {
			return false, nil
		}
		return true, l.Conn.SetReadDeadline(time.Now().Add(2 * l.heartbeat))
	}
	return true, nil
}

// opened says that READY or RESUMED is through: from now on heartbeats count.
func (l *link) opened() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open = true
	// An error means that the connection has ended, which Read says.
	_ = l.Conn.SetReadDeadline(time.Now().Add(2 * l.heartbeat))
}

// end notes the first cause, which then stays, and closes.
func (l *link) end(cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cause != nil {
		return
	}
	if errors.Is(cause, os.ErrDeadlineExceeded) {
		cause = errors.New("no heartbeat was acknowledged, or no READY came, in time")
	}
	l.cause = cause
	close(l.over)
	l.Conn.Close()
	if l.stop != nil {
		l.stop()
	}
}

func (l *link) Write(p []byte) (int, error) {
	select {
	case <-l.over:
		return 0, net.ErrClosed
	default:
	}
	if err := l.Conn.SetWriteDeadline(time.Now().Add(writeWithin)); err != nil {
		return 0, err
	}
	return l.Conn.Write(p)
}

// Close is the library's.
func (l *link) Close() error {
	l.end(net.ErrClosed)
	return nil
}
