-- Version 1. Never changed once released: what comes later is a file of its own.
CREATE TABLE bifrost_entities (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    body TEXT NOT NULL,
    -- Hash of the entity in the configuration file that this one replaces; empty: the file had none.
    replaces TEXT NOT NULL,
    revision BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    updated_by TEXT NOT NULL,
    PRIMARY KEY (kind, id)
);
CREATE UNIQUE INDEX bifrost_entities_by_name ON bifrost_entities (kind, name);

CREATE TABLE bifrost_changes (
    revision BIGINT PRIMARY KEY,
    at BIGINT NOT NULL,
    who TEXT NOT NULL,
    action TEXT NOT NULL,
    -- JSON: kind, id, name, before and after of each entity.
    edits TEXT NOT NULL
);

CREATE TABLE bifrost_settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);

CREATE TABLE bifrost_audit (
    number BIGINT PRIMARY KEY,
    at BIGINT NOT NULL,
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
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    at BIGINT NOT NULL,
    -- The process that spent it.
    writer TEXT NOT NULL,
    -- JSON: a list of owners.
    owners TEXT NOT NULL,
    target TEXT NOT NULL,
    cost BIGINT NOT NULL,
    requests BIGINT NOT NULL,
    input_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    estimated BIGINT NOT NULL
);
CREATE INDEX bifrost_ledger_by_time ON bifrost_ledger (at);

CREATE TABLE bifrost_rollups (
    owner TEXT NOT NULL,
    -- Milliseconds: a minute, an hour or a day.
    span BIGINT NOT NULL,
    start BIGINT NOT NULL,
    cost BIGINT NOT NULL,
    requests BIGINT NOT NULL,
    input_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    PRIMARY KEY (owner, span, start)
);
CREATE INDEX bifrost_rollups_by_time ON bifrost_rollups (span, start);

-- How far the journals are read.
CREATE TABLE bifrost_journals (file TEXT PRIMARY KEY, place BIGINT NOT NULL, read_at BIGINT NOT NULL);
