-- The request log, version 1. Never changed once released: what comes later is a file of its own.
-- 0 and '' stand for what there is none of.

-- What the numbers in the columns of bifrost_requests stand for.
CREATE TABLE bifrost_request_names (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    kind INTEGER NOT NULL,
    name TEXT NOT NULL,
    UNIQUE (kind, name)
);

CREATE TABLE bifrost_requests (
    -- Unix milliseconds of the beginning << 21, and 21 bits of the request id's hash: its order is that of time.
    id INTEGER PRIMARY KEY,
    provider INTEGER NOT NULL,
    model INTEGER NOT NULL,
    asked INTEGER NOT NULL,
    provider_key INTEGER NOT NULL,
    virtual_key INTEGER NOT NULL,
    team INTEGER NOT NULL,
    customer INTEGER NOT NULL,
    rule INTEGER NOT NULL,
    object INTEGER NOT NULL,
    dialect INTEGER NOT NULL,
    error INTEGER NOT NULL,
    outcome INTEGER NOT NULL,
    status INTEGER NOT NULL,
    flags INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    -- Microseconds.
    took INTEGER NOT NULL,
    first_token INTEGER NOT NULL,
    overhead INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL,
    -- Nano-dollars.
    cost INTEGER NOT NULL
);
-- Each entry of an index ends with the row's number: they are in the order of time.
CREATE INDEX bifrost_requests_by_provider ON bifrost_requests (provider);
CREATE INDEX bifrost_requests_by_model ON bifrost_requests (model);
CREATE INDEX bifrost_requests_by_provider_key ON bifrost_requests (provider_key);
CREATE INDEX bifrost_requests_by_virtual_key ON bifrost_requests (virtual_key) WHERE virtual_key > 0;
CREATE INDEX bifrost_requests_by_team ON bifrost_requests (team) WHERE team > 0;
CREATE INDEX bifrost_requests_by_customer ON bifrost_requests (customer) WHERE customer > 0;
CREATE INDEX bifrost_requests_by_rule ON bifrost_requests (rule) WHERE rule > 0;
CREATE INDEX bifrost_requests_by_error ON bifrost_requests (error) WHERE error > 0;
CREATE INDEX bifrost_requests_by_outcome ON bifrost_requests (outcome) WHERE outcome > 0;

-- JSON of what the list does not filter by.
CREATE TABLE bifrost_request_details (id INTEGER PRIMARY KEY, body TEXT NOT NULL);

-- Hashes of tags (name=value), sessions, parents and of request ids that callers chose.
CREATE TABLE bifrost_request_tags (
    tag INTEGER NOT NULL,
    id INTEGER NOT NULL,
    PRIMARY KEY (tag, id)
) WITHOUT ROWID;
CREATE INDEX bifrost_request_tags_by_request ON bifrost_request_tags (id);

-- What the rows of about 17 s have at most and at least: what need not be looked at.
CREATE TABLE bifrost_request_zones (
    zone INTEGER PRIMARY KEY,
    requests INTEGER NOT NULL,
    min_took INTEGER NOT NULL,
    max_took INTEGER NOT NULL,
    min_cost INTEGER NOT NULL,
    max_cost INTEGER NOT NULL,
    min_tokens INTEGER NOT NULL,
    max_tokens INTEGER NOT NULL
);
CREATE INDEX bifrost_request_zones_by_took ON bifrost_request_zones (max_took);
CREATE INDEX bifrost_request_zones_by_cost ON bifrost_request_zones (max_cost);
CREATE INDEX bifrost_request_zones_by_tokens ON bifrost_request_zones (max_tokens);

-- Bodies, compressed, each once.
CREATE TABLE bifrost_request_bodies (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    -- SHA-256.
    hash BLOB NOT NULL UNIQUE,
    uses INTEGER NOT NULL,
    size INTEGER NOT NULL,
    body BLOB NOT NULL
);
CREATE TABLE bifrost_request_contents (
    id INTEGER NOT NULL,
    part INTEGER NOT NULL,
    body INTEGER NOT NULL,
    PRIMARY KEY (id, part)
) WITHOUT ROWID;

-- The words of bodies.
CREATE VIRTUAL TABLE bifrost_request_texts
    USING fts5 (body, content = '', contentless_delete = 1, tokenize = 'unicode61');

-- Sums over spans of time.
CREATE TABLE bifrost_sums (
    -- 1: minutes, 2: quarters of an hour, 3: hours, 4: days
    span INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    -- In spans since 1970.
    start INTEGER NOT NULL,
    -- The process that counted; 0: several of them, put together.
    writer INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (span, kind, start, writer)
) WITHOUT ROWID;

-- What the gateway remembers about this log.
CREATE TABLE bifrost_request_state (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
