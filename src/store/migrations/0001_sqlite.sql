-- Version 1. Never changed once released: what comes later is a file of its own.
CREATE TABLE bifrost_entities (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    body TEXT NOT NULL,
    -- Hash of the entity in the configuration file that this one replaces; empty: the file had none.
    replaces TEXT NOT NULL,
    revision INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    updated_by TEXT NOT NULL,
    PRIMARY KEY (kind, id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX bifrost_entities_by_name ON bifrost_entities (kind, name);

CREATE TABLE bifrost_changes (
    revision INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    who TEXT NOT NULL,
    action TEXT NOT NULL,
    -- JSON: kind, id, name, before and after of each entity.
    edits TEXT NOT NULL
);

CREATE TABLE bifrost_settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE bifrost_audit (
    number INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    who TEXT NOT NULL,
    address TEXT NOT NULL,
    action TEXT NOT NULL,
    -- JSON.
    detail TEXT NOT NULL,
    previous TEXT NOT NULL,
    hash TEXT NOT NULL
);

CREATE TABLE bifrost_ledger (
    -- In the order in which rows became visible.
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    at INTEGER NOT NULL,
    -- The process that spent it.
    writer TEXT NOT NULL,
    -- JSON: a list of owners.
    owners TEXT NOT NULL,
    target TEXT NOT NULL,
    cost INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    estimated INTEGER NOT NULL
);
CREATE INDEX bifrost_ledger_by_time ON bifrost_ledger (at);

CREATE TABLE bifrost_rollups (
    owner TEXT NOT NULL,
    -- Milliseconds: a minute, an hour or a day.
    span INTEGER NOT NULL,
    start INTEGER NOT NULL,
    cost INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    PRIMARY KEY (owner, span, start)
) WITHOUT ROWID;
CREATE INDEX bifrost_rollups_by_time ON bifrost_rollups (span, start);

-- How far the journals are read.
CREATE TABLE bifrost_journals (file TEXT PRIMARY KEY, place INTEGER NOT NULL, read_at INTEGER NOT NULL) WITHOUT ROWID;
