-- Times are nanoseconds since 1970, UTC; 0 is a zero time.Time.
-- Bodies are the JSON of package chokepoint.

-- 'rules' is the version of the rules; 'ping' is written to see whether it can
-- be.
CREATE TABLE counters (
	name  TEXT PRIMARY KEY,
	value INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO counters VALUES ('rules', 1), ('ping', 0);

-- A row stays when its lease ends, so that its token grows on.
CREATE TABLE leases (
	name    TEXT PRIMARY KEY,
	holder  TEXT NOT NULL, -- '' when released
	token   INTEGER NOT NULL,
	expires INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE sources (
	source TEXT PRIMARY KEY,
	cursor TEXT NOT NULL,
	items  INTEGER NOT NULL, -- observations ever recorded
	health TEXT NOT NULL
) WITHOUT ROWID;

-- AUTOINCREMENT: a position is never given twice, even after trimming.
CREATE TABLE journal (
	seq      INTEGER PRIMARY KEY AUTOINCREMENT,
	id       TEXT NOT NULL UNIQUE,
	kind     TEXT NOT NULL,
	recorded INTEGER NOT NULL,
	body     TEXT NOT NULL
);
CREATE INDEX journal_kind ON journal (kind, seq);

CREATE TABLE quotes (
	symbol TEXT PRIMARY KEY,
	at     INTEGER NOT NULL,
	body   TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE bars (
	symbol TEXT NOT NULL,
	day    TEXT NOT NULL,
	body   TEXT NOT NULL,
	PRIMARY KEY (symbol, day)
) WITHOUT ROWID;
CREATE INDEX bars_day ON bars (day);

CREATE TABLE watchers (
	watcher  TEXT PRIMARY KEY,
	position INTEGER NOT NULL, -- journal.seq; 0 is the beginning
	state    BLOB,
	report   TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE cards (
	kind TEXT NOT NULL,
	id   TEXT NOT NULL,
	body TEXT NOT NULL,
	PRIMARY KEY (kind, id)
) WITHOUT ROWID;

-- platform and chat are '' for a rule of the configuration.
CREATE TABLE rules (
	platform TEXT NOT NULL,
	chat     TEXT NOT NULL,
	id       TEXT NOT NULL,
	symbol   TEXT NOT NULL,
	text     TEXT NOT NULL,
	state    BLOB,
	made     INTEGER NOT NULL,
	fired    INTEGER NOT NULL,
	firings  INTEGER NOT NULL,
	done     INTEGER NOT NULL,
	PRIMARY KEY (platform, chat, id)
) WITHOUT ROWID;

-- A lane is a chat as the outbox sees it. Its id is what every other table
-- knows the chat by, so that a chat that gets another name is one update.
--   head  the delivery that is granted, NULL when none is
--   token of the last grant: its number in the upper 32 bits, id in the lower,
--         so that a grant finds its lane whatever the chat is called by then
--   due   when it can be granted (again): head NULL, the later of hold and the
--         earliest not_before; otherwise when the grant runs out. NULL when
--         nothing is owed. It may be too early, never too late: a grant that
--         finds nothing due sets it right.
--   hold  nothing is granted before
--   tat   the pace's theoretical arrival time
CREATE TABLE lanes (
	id       INTEGER PRIMARY KEY AUTOINCREMENT,
	platform TEXT NOT NULL,
	chat     TEXT NOT NULL,
	head     INTEGER,
	token    INTEGER NOT NULL DEFAULT 0,
	due      INTEGER,
	hold     INTEGER NOT NULL DEFAULT 0,
	tat      INTEGER NOT NULL DEFAULT 0,
	UNIQUE (platform, chat)
);
CREATE INDEX lanes_free ON lanes (platform, due) WHERE head IS NULL AND due IS NOT NULL;
CREATE INDEX lanes_held ON lanes (platform, due) WHERE head IS NOT NULL;

CREATE TABLE chats (
	lane INTEGER PRIMARY KEY,
	gone INTEGER NOT NULL, -- 1 if it cannot be reached
	body TEXT NOT NULL
);

-- Who follows a topic, those included that cannot be reached now.
CREATE TABLE followers (
	topic TEXT NOT NULL,
	lane  INTEGER NOT NULL,
	PRIMARY KEY (topic, lane)
) WITHOUT ROWID;
CREATE INDEX followers_lane ON followers (lane);

CREATE TABLE alerts (
	seq   INTEGER PRIMARY KEY AUTOINCREMENT,
	id    TEXT NOT NULL UNIQUE,
	topic TEXT NOT NULL,
	story TEXT NOT NULL,
	at    INTEGER NOT NULL,
	some  INTEGER NOT NULL, -- 1 if it is for the chats in alert_lanes alone
	body  TEXT NOT NULL
);
CREATE INDEX alerts_topic ON alerts (topic);
CREATE INDEX alerts_story ON alerts (story);
CREATE INDEX alerts_at ON alerts (at);

CREATE TABLE alert_lanes (
	alert INTEGER NOT NULL,
	lane  INTEGER NOT NULL,
	PRIMARY KEY (alert, lane)
) WITHOUT ROWID;
CREATE INDEX alert_lanes_lane ON alert_lanes (lane);

-- Alerts on their way to their chats: those up to lane have got it.
CREATE TABLE spreads (
	alert INTEGER PRIMARY KEY,
	lane  INTEGER NOT NULL
);

-- not_before is 0 once it is due, so that the oldest due of a lane is one
-- look-up in deliveries_lane whatever is snoozed there.
CREATE TABLE deliveries (
	seq        INTEGER PRIMARY KEY,
	lane       INTEGER NOT NULL,
	alert      INTEGER NOT NULL,
	not_before INTEGER NOT NULL DEFAULT 0,
	queued     INTEGER NOT NULL,
	attempts   INTEGER NOT NULL DEFAULT 0,
	unknown    INTEGER NOT NULL DEFAULT 0,
	error      TEXT NOT NULL DEFAULT '',
	UNIQUE (alert, lane)
);
CREATE INDEX deliveries_lane ON deliveries (lane, not_before);

CREATE TABLE dead (
	seq      INTEGER PRIMARY KEY AUTOINCREMENT,
	id       TEXT NOT NULL,
	lane     INTEGER NOT NULL,
	alert    INTEGER NOT NULL,
	queued   INTEGER NOT NULL,
	attempts INTEGER NOT NULL,
	unknown  INTEGER NOT NULL,
	error    TEXT NOT NULL,
	dead     INTEGER NOT NULL
);
CREATE INDEX dead_id ON dead (id);
CREATE INDEX dead_lane ON dead (lane);
CREATE INDEX dead_alert ON dead (alert);
CREATE INDEX dead_dead ON dead (dead);

-- By story: those of one are written one after the other, lane by lane.
CREATE TABLE postings (
	story   TEXT NOT NULL,
	lane    INTEGER NOT NULL,
	alert   TEXT NOT NULL,
	message TEXT NOT NULL,
	thread  TEXT NOT NULL,
	edited  INTEGER NOT NULL,
	touched INTEGER NOT NULL, -- edited, or if that is zero the alert's time
	PRIMARY KEY (story, lane)
) WITHOUT ROWID;
CREATE INDEX postings_touched ON postings (touched);

CREATE TABLE marks (
	name  TEXT PRIMARY KEY,
	value TEXT NOT NULL
) WITHOUT ROWID;
