-- Kept answers of the embedded vector store, version 1. Never changed once released: what comes later is a file of its own.

CREATE TABLE bifrost_answers (
    -- In the order in which they were kept.
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    -- 16 bytes, of space and fingerprint.
    id BLOB NOT NULL UNIQUE,
    space BLOB NOT NULL,
    fingerprint BLOB NOT NULL,
    -- Empty, with dimension 0: found by its fingerprint alone.
    frame BLOB NOT NULL,
    dimension INTEGER NOT NULL,
    text TEXT NOT NULL,
    -- Unix milliseconds.
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    used INTEGER NOT NULL,
    hits INTEGER NOT NULL,
    pinned INTEGER NOT NULL,
    -- Bytes of the answer.
    size INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    cache_key TEXT NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    object TEXT NOT NULL,
    title TEXT NOT NULL,
    -- Nano-dollars and one more; 0: it has no price.
    cost INTEGER NOT NULL,
    -- Milliseconds.
    took INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL
);

-- Read from end to end at the start, and never again.
CREATE TABLE bifrost_answer_vectors (number INTEGER PRIMARY KEY, vector BLOB NOT NULL);

CREATE TABLE bifrost_answer_bodies (number INTEGER PRIMARY KEY, body BLOB NOT NULL);
