// Package redisstore is the store on Redis: any number of replicas share what
// is in it. It runs on one server, behind Sentinel, or on a Cluster.
//
// # Where things are
//
// Every key has a hash tag, and no script crosses two of them:
//
//	{core}     leases, journal, what watchers decided, alerts and their
//	           spreads, chats, rules, marks
//	{lane:NN}  for one sixteenth of the chats: what is owed to them, dead
//	           letters, and where stories stand in them
//
// The core is small: what was seen and concluded, and what people set. So each
// of Record, Commit and Publish is one script there, all or nothing, with its
// lease beside the data it fences. (An earlier design gave the journal, each
// watcher and the desk tags of their own; then a commit would have been several
// scripts, with a log of intentions to tie them together.) What grows with
// chats and traffic is in the lanes, and those a Cluster spreads.
//
// # What crosses from the core to the lanes
//
// Three things do, and each is begun by one script, then carried on by steps
// that can be repeated, by anyone, from what that script left:
//
// A spread. Its alert has a number, and spreads are carried on strictly in the
// order of these. A page of chats is read in the core, pushed to their lanes,
// and then the spread's cursor is moved on if it is still where it was. A lane
// remembers the number of the last alert it was pushed, and takes none twice,
// so a page that is pushed again does nothing, even after its deliveries were
// sent and forgotten.
//
// A move. The core's script moves settings, rules and spreads under way, and
// notes the move. Then the old lane is packed into a parcel, the parcel is
// unpacked into the new lane, once by its number, and then parcel and note are
// thrown away. Grants and Spread first finish what others left.
//
// A chat that is gone. Its lane is closed with the settlement that says so, and
// then the chat is marked. A settlement that is repeated marks it again; should
// nobody repeat it, the chat's next alert finds out anew. So it is with a
// settlement that says that a chat moved.
//
// # What is lost, and when
//
// What a server acknowledged is in its append-only file: a killed process loses
// nothing, a crashed machine at most what appendfsync allows (a second or two
// with everysec). A fail-over can lose what the replica had not received;
// observations are then made again, and IDs keep them from being told twice.
package redisstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/chokepoint-bot/chokepoint/store"
)

// partitions is how many parts the chats are hashed over. It is part of the
// layout: another number would not find the lanes that are there.
const partitions = 16

// Store is a store.Store and store.Waker on Redis.
type Store struct {
	rdb   redis.UniversalClient
	log   *slog.Logger
	where string // hosts and ports, for errors

	core   []string             // the core's keys, as coreKeys names them
	lanes  [partitions][]string // each partition's keys, as laneKeys names them
	prefix string

	wake wakes

	mu     sync.RWMutex // held for reading while a call is under way
	closed bool
}

var (
	_ store.Store = (*Store)(nil)
	_ store.Waker = (*Store)(nil)
)

// ErrSetup is what an error of Open is (by errors.Is) that waiting does not
// mend: the URL or the server's configuration has to be changed first.
var ErrSetup = errors.New("the url or the server's configuration has to be changed")

// setupError is an error that is ErrSetup.
type setupError struct{ error }

func (setupError) Is(target error) bool { return target == ErrSetup }
func (e setupError) Unwrap() error      { return e.error }

var errClosed = errors.New("the store is closed")

// Open connects to Redis and checks that it keeps what it is given. url is one
// of
//
//	redis://user:password@host:port/db
//	rediss://…                                      with TLS
//	redis+sentinel://host:port,host:port/master     ?db=, ?tls=true, ?sentinel_username=, ?sentinel_password=
//	redis+cluster://host:port,host:port             ?tls=true
//
// each optionally with ?prefix=, before every key, "cp" if it is not given. An
// error says what to do about it, and never holds the password; it is ErrSetup
// if trying again is of no use until that is done.
func Open(ctx context.Context, url string, log *slog.Logger) (*Store, error) {
	a, err := parse(url)
	if err != nil {
		return nil, fmt.Errorf("redisstore: the store's url: %w", setupError{err})
	}
	// The library has one logger for the whole process, and by default it
	// prints. What matters to us comes back as an error.
	redis.SetLogger(libraryLog{log})
	s := &Store{rdb: redis.NewUniversalClient(&a.options), log: log, where: strings.Join(a.options.Addrs, ","), prefix: a.prefix}
	s.core = keys(a.prefix, "core", coreKeys)
	for i := range s.lanes {
		s.lanes[i] = keys(a.prefix, fmt.Sprintf("lane:%02d", i), laneKeys)
	}
	s.wake.init(rand.Text())
	if err := s.check(ctx); err != nil {
		_ = s.rdb.Close()
		return nil, fmt.Errorf("redisstore: opening %s: %w", a.shown, err)
	}
	return s, nil
}

// libraryLog carries what the library prints, which is of use to developers
// only.
type libraryLog struct{ log *slog.Logger }

func (l libraryLog) Printf(ctx context.Context, format string, v ...any) {
	if l.log.Enabled(ctx, slog.LevelDebug) {
		l.log.DebugContext(ctx, "go-redis", "text", fmt.Sprintf(format, v...))
	}
}

// begin is called by every method before it touches Redis, and what it returns
// when the method is done.
func (s *Store) begin(ctx context.Context) (end func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.RLock()
	if s.closed {
		s.mu.RUnlock()
		return nil, errClosed
	}
	return s.mu.RUnlock, nil
}

// Ping writes to the core and to every partition: on a Cluster some of them
// can be away.
func (s *Store) Ping(ctx context.Context) error {
	err := s.with(ctx, func() error {
		_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, keys := range append(s.lanes[:], s.core) {
				tag, _, _ := strings.Cut(keys[0], "}")
				p.Set(ctx, tag+"}:ping", "", time.Minute)
			}
			return nil
		})
		return err
	})
	return wrap(err, "pinging")
}

// Close waits for the calls under way.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	// Closing its connections is what wakes the listener from a blocking read.
	err := s.rdb.Close()
	s.wake.close()
	return wrap(err, "closing")
}

// with runs f as a call of the store, and explains its error.
func (s *Store) with(ctx context.Context, f func() error) error {
	end, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	err = f()
	if ended := ctx.Err(); err != nil && ended != nil && !errors.Is(err, ended) {
		err = fmt.Errorf("%w: %w", ended, err) // so that callers can tell by errors.Is
	}
	return s.explain(err)
}

// wrap says what was being done; nil stays nil.
func wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("redisstore: "+format+": %w", append(args, err)...)
}
