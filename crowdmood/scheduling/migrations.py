"""The ledger's tables, and the way from each version of them to the next.

A ledger's version (PRAGMA user_version) is the number of migrations it has been through. To change the tables, add a
migration; never change one that has been released. Times are seconds since 1970 in UTC, but for `leases.until`.
"""

from __future__ import annotations

import sqlite3

TABLES = """
CREATE TABLE jobs (
    job TEXT PRIMARY KEY,
    since REAL NOT NULL                 -- when it was seen first: no due time before that counts
) STRICT, WITHOUT ROWID;

CREATE TABLE turns (                    -- each due time, and each other occasion on which a job was run
    turn INTEGER PRIMARY KEY,
    job TEXT NOT NULL REFERENCES jobs,
    cause TEXT NOT NULL CHECK (cause IN ('schedule', 'watch', 'retry', 'hand')),
    due REAL NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting'
        CHECK (state IN ('waiting', 'running', 'done', 'some failed', 'failed', 'skipped', 'cancelled')),
    started REAL,
    finished REAL,
    found INTEGER,                      -- recordings: found, and of those done and failed in this turn
    done INTEGER,
    failed INTEGER,
    error TEXT,
    cancel INTEGER NOT NULL DEFAULT 0   -- 1 from the moment somebody asked for it
) STRICT;
CREATE UNIQUE INDEX turns_due ON turns (job, due) WHERE cause = 'schedule';

CREATE TABLE files (                    -- what is in a file, so that it is read only if it changed
    path ANY PRIMARY KEY,               -- text, or bytes where it is no text
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    digest TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE recordings (               -- the work of a job: a content, to be analyzed in one way
    job TEXT NOT NULL REFERENCES jobs,
    run TEXT NOT NULL,                  -- id of the run: a digest of content, options and models
    path ANY NOT NULL,                  -- where it was seen last
    size INTEGER NOT NULL,
    mtime REAL NOT NULL,
    digest TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting'
        CHECK (state IN ('waiting', 'done', 'failed', 'set aside', 'cancelled', 'gone')),
    failures INTEGER NOT NULL DEFAULT 0, -- in a row
    next_try REAL,
    error TEXT,
    PRIMARY KEY (job, run)
) STRICT, WITHOUT ROWID;

CREATE TABLE attempts (
    attempt INTEGER PRIMARY KEY,
    turn INTEGER NOT NULL REFERENCES turns,
    job TEXT NOT NULL,
    run TEXT NOT NULL,
    path ANY NOT NULL,
    started REAL NOT NULL,
    finished REAL,
    seconds REAL,
    outcome TEXT CHECK (outcome IN ('done', 'failed', 'crashed', 'lost', 'busy', 'stopped', 'cancelled')), -- NULL: running
    error TEXT,
    FOREIGN KEY (job, run) REFERENCES recordings
) STRICT;

CREATE TABLE leases (
    what TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    boot TEXT NOT NULL,                 -- of the machine; a lease ends with it
    until REAL NOT NULL                 -- on the machine's steady clock, which nobody can set
) STRICT, WITHOUT ROWID;
"""

LOOK_AGAIN = """
ALTER TABLE jobs ADD COLUMN look_again REAL;   -- recordings were still growing: look at them then
CREATE INDEX turns_job ON turns (job, state);
CREATE INDEX attempts_turn ON attempts (turn);
CREATE INDEX attempts_running ON attempts (job) WHERE outcome IS NULL;
CREATE INDEX recordings_next ON recordings (job, next_try) WHERE next_try IS NOT NULL;
"""

MIGRATIONS = (TABLES, LOOK_AGAIN)
NEWEST = len(MIGRATIONS)


def version_of(database: sqlite3.Connection) -> int:
    """The version of a ledger's tables; 0 when it has none."""
    return database.execute("PRAGMA user_version").fetchone()[0]


def migrate(database: sqlite3.Connection) -> None:
    """Bring a ledger's tables to the newest version, in one step: all of it or nothing."""
    missing = MIGRATIONS[version_of(database):]
    if missing:
        script = "\n".join(missing)
        database.executescript(f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {NEWEST};\nCOMMIT;")
