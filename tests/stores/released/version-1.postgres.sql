-- A database as version 1 of the schema left it. Never changed.
CREATE TABLE bifrost_entities (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    body TEXT NOT NULL,
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
    edits TEXT NOT NULL
);

CREATE TABLE bifrost_settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);

CREATE TABLE bifrost_audit (
    number BIGINT PRIMARY KEY,
    at BIGINT NOT NULL,
    who TEXT NOT NULL,
    address TEXT NOT NULL,
    action TEXT NOT NULL,
    detail TEXT NOT NULL,
    previous TEXT NOT NULL,
    hash TEXT NOT NULL
);

CREATE TABLE bifrost_ledger (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    at BIGINT NOT NULL,
    writer TEXT NOT NULL,
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
    span BIGINT NOT NULL,
    start BIGINT NOT NULL,
    cost BIGINT NOT NULL,
    requests BIGINT NOT NULL,
    input_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    PRIMARY KEY (owner, span, start)
);
CREATE INDEX bifrost_rollups_by_time ON bifrost_rollups (span, start);

CREATE TABLE bifrost_journals (file TEXT PRIMARY KEY, place BIGINT NOT NULL, read_at BIGINT NOT NULL);

CREATE TABLE bifrost_schema (version BIGINT PRIMARY KEY, applied_by TEXT NOT NULL);
INSERT INTO bifrost_schema (version, applied_by) VALUES (1, '0.1.0');
INSERT INTO bifrost_entities VALUES ('team', 't1', 'blue', '{"id":"t1","name":"blue"}', '', 1, 1763721000000, 'ada');
INSERT INTO bifrost_changes VALUES (1, 1763721000000, 'ada', 'team.create',
    '[{"kind":"team","id":"t1","name":"blue","before":null,"after":{"id":"t1","name":"blue"},"source_before":"store","source_after":"store"}]');
INSERT INTO bifrost_settings VALUES ('salt', 'abc');
INSERT INTO bifrost_audit VALUES (1, 1763721000000, 'ada', '127.0.0.1', 'team.create',
    '{"revision":1,"edits":[{"kind":"team","id":"t1","what":"put"}]}', '', '9867efabdde044b788d1f5a9db339561a209e50f73295634cc9a6562d361bc3f');
INSERT INTO bifrost_ledger (id, at, writer, owners, target, cost, requests, input_tokens, output_tokens, estimated)
    VALUES ('req-1', 1763721000000, 'w', '["team:t1"]', 'openai/gpt-4o', 42, 1, 10, 5, 0);
INSERT INTO bifrost_rollups VALUES ('team:t1', 60000, 1763721000000, 42, 1, 10, 5);
INSERT INTO bifrost_rollups VALUES ('team:t1', 3600000, 1763719200000, 42, 1, 10, 5);
INSERT INTO bifrost_rollups VALUES ('team:t1', 86400000, 1763683200000, 42, 1, 10, 5);
INSERT INTO bifrost_journals VALUES ('w-000000.journal', 77, 1763721000000);
