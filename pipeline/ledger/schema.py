"""The ledger's tables, version by version; a migration is one more entry, never a change of an old one."""

#: ``PRAGMA application_id``: marks a SQLite file as a ledger of this program ("flxb").
APPLICATION_ID = 0x666C7862

_VERSION_1 = """
CREATE TABLE batches (              -- one manifest and edition: what a budget and a folder belong to
    id INTEGER PRIMARY KEY,
    manifest TEXT NOT NULL,
    edition TEXT NOT NULL,
    simulated INTEGER NOT NULL,     -- 1: the money is make-believe, and is summed apart
    UNIQUE (manifest, edition, simulated)
) STRICT;

CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    run_id TEXT NOT NULL UNIQUE,
    batch INTEGER NOT NULL REFERENCES batches,
    provider TEXT NOT NULL,
    started_at REAL NOT NULL,       -- unix seconds, as every time here
    ended_at REAL,
    exit_code INTEGER
) STRICT;

CREATE TABLE jobs (                 -- one picture, by what is asked; never bought twice
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,       -- 32 bytes: SHA-256
    state TEXT NOT NULL CHECK (state IN
        ('planned', 'buying', 'bought', 'stored', 'failed', 'unknown', 'lost', 'spoiled')),
    model TEXT NOT NULL,
    prompt TEXT NOT NULL,
    ratio TEXT,
    seed INTEGER,
    asked TEXT NOT NULL,            -- JSON: the other parameters
    attempts INTEGER NOT NULL DEFAULT 0,
    spend_microusd INTEGER NOT NULL DEFAULT 0,
    unknown_microusd INTEGER NOT NULL DEFAULT 0,
    error_kind TEXT,
    error_message TEXT,
    passing INTEGER NOT NULL DEFAULT 0,  -- 1: a rerun tries again by itself
    settled INTEGER NOT NULL DEFAULT 0,  -- 1: a person has accepted that this is lost or spoiled
    request_id TEXT,
    url TEXT,                       -- only while bought: cleared once stored, lost or spoiled
    bought_at REAL,
    deadline REAL,
    stored_at REAL,
    stored_run INTEGER REFERENCES runs,
    url_age_s REAL,
    sha256 BLOB,
    bytes INTEGER,
    width INTEGER,
    height INTEGER,
    format TEXT,
    verdict TEXT
) STRICT;
CREATE INDEX jobs_underway ON jobs (state) WHERE state IN ('buying', 'bought');

CREATE TABLE placements (           -- one row of a manifest: where it wants its picture
    id INTEGER PRIMARY KEY,
    batch INTEGER NOT NULL REFERENCES batches,
    job INTEGER NOT NULL REFERENCES jobs,
    occurrence INTEGER NOT NULL,    -- the n-th equal row of the manifest
    number INTEGER NOT NULL,        -- the row's index in the manifest, from 1, when last seen
    run INTEGER NOT NULL REFERENCES runs,   -- the run that saw it last
    duplicate INTEGER NOT NULL,     -- 1: an earlier row of that run asked for the same
    wanted TEXT NOT NULL,           -- path without suffix, relative to the ledger's folder
    path TEXT,                      -- the file, once there
    UNIQUE (batch, job, occurrence)
) STRICT;

CREATE INDEX placements_by_job ON placements (job);

CREATE TABLE attempts (             -- one request that may cost money; appended before it leaves
    id INTEGER PRIMARY KEY,
    job INTEGER NOT NULL REFERENCES jobs,
    placement INTEGER NOT NULL REFERENCES placements,
    run INTEGER NOT NULL REFERENCES runs,
    taken_from TEXT NOT NULL,       -- the job's state before; 'unknown' marks a resend
    money TEXT NOT NULL CHECK (money IN ('reserved', 'spent', 'unknown', 'released')),
    price_microusd INTEGER NOT NULL CHECK (price_microusd >= 0),
    day TEXT NOT NULL,              -- local date of the reservation: the day and month it counts in
    counted INTEGER NOT NULL DEFAULT 1,  -- 0: congestion, not one of the job's attempts
    started_at REAL NOT NULL,
    ended_at REAL,
    settled_at REAL,                -- when its money last changed: by an answer, or by a person
    error_kind TEXT,
    error_message TEXT,
    error_body TEXT,                -- what the provider sent, its first 2,000 characters
    request_id TEXT
) STRICT;
CREATE INDEX attempts_by_job ON attempts (job);
CREATE INDEX attempts_by_placement ON attempts (placement);
CREATE INDEX attempts_by_run ON attempts (run);
CREATE INDEX attempts_reserved ON attempts (money) WHERE money = 'reserved';

CREATE TABLE sums (                 -- running totals by budget scope; `ledger verify` proves them against attempts
    scope TEXT PRIMARY KEY,
    spent INTEGER NOT NULL DEFAULT 0 CHECK (spent >= 0),
    unknown INTEGER NOT NULL DEFAULT 0 CHECK (unknown >= 0),
    reserved INTEGER NOT NULL DEFAULT 0 CHECK (reserved >= 0)
) STRICT, WITHOUT ROWID;
"""

#: Runs may share a ledger: whose business a job is while it is bought or fetched.
_VERSION_2 = """
ALTER TABLE jobs ADD COLUMN holder INTEGER REFERENCES runs;  -- the run that buys or fetches it, if that is on
-- The last attempt of other runs on the job when the row was admitted, 0: none; NULL: one was under way.
ALTER TABLE placements ADD COLUMN seen_attempt INTEGER;
CREATE INDEX attempts_resent ON attempts (run) WHERE taken_from = 'unknown';
"""

#: An export is read in the manifest's order as it goes, instead of sorting a million rows first.
_PLACEMENTS_IN_ORDER = """
CREATE INDEX placements_in_order ON placements (batch, number);
"""

#: What a run was allowed to spend, so that a report can hold its money against it.
_BUDGETS_OF_RUNS = """
ALTER TABLE runs ADD COLUMN caps TEXT;  -- JSON: the budgets in force, in micro-dollars; NULL: of an earlier version
"""

#: What runs have found of a provider's limits, so that the next begins there.
_PACE = """
CREATE TABLE pace (
    provider TEXT NOT NULL,
    origin TEXT NOT NULL,           -- where it was: another address is another provider
    simulated INTEGER NOT NULL,     -- 1: a make-believe one, whose limits are nobody else's
    model TEXT NOT NULL,
    level INTEGER NOT NULL CHECK (level >= 1),  -- requests in flight that were let in
    wall INTEGER,                   -- the level that was refused, if one was
    rate REAL CHECK (rate > 0),     -- starts a second, if a rate was found
    learned_at REAL NOT NULL,
    PRIMARY KEY (provider, origin, simulated, model)
) STRICT, WITHOUT ROWID;
"""

#: Several providers may serve one run, and one may be asked after a task it has taken.
_PROVIDERS_AND_TASKS = """
ALTER TABLE attempts ADD COLUMN provider TEXT;      -- who was asked; NULL: the run's
ALTER TABLE attempts ADD COLUMN task TEXT;          -- the provider's own number for it
ALTER TABLE attempts ADD COLUMN polling_url TEXT;   -- where it is asked after, until its money is settled
ALTER TABLE attempts ADD COLUMN submitted_at REAL;  -- when the provider took it: a reserved attempt is then recoverable
"""

#: ``MIGRATIONS[n]`` brings a ledger from version n to n + 1.
MIGRATIONS: tuple[str, ...] = (
    _VERSION_1,
    _VERSION_2,
    _PLACEMENTS_IN_ORDER,
    _BUDGETS_OF_RUNS,
    _PACE,
    _PROVIDERS_AND_TASKS,
)
