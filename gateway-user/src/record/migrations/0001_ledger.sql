-- Times are unix milliseconds. Lists and objects are JSON text.

CREATE TABLE session (
    id          TEXT PRIMARY KEY NOT NULL,
    started     INTEGER NOT NULL,
    ended       INTEGER,
    identity    TEXT NOT NULL,
    workload    TEXT NOT NULL,
    mode        TEXT NOT NULL,
    process     TEXT NOT NULL,
    containment TEXT NOT NULL,
    origin      TEXT NOT NULL,
    name        TEXT,
    sni         TEXT,
    alpn        TEXT
) STRICT;

CREATE INDEX session_open ON session (id) WHERE ended IS NULL;
CREATE INDEX session_identity ON session (identity, id);

CREATE TABLE exchange (
    id             TEXT PRIMARY KEY NOT NULL,
    session        TEXT NOT NULL REFERENCES session (id),
    at             INTEGER NOT NULL,
    protocol       TEXT NOT NULL,
    action         TEXT NOT NULL,
    service        TEXT NOT NULL,
    method         TEXT,
    path           TEXT,
    model          TEXT,
    stream         INTEGER,
    decision       TEXT NOT NULL CHECK (decision IN ('permit', 'ask', 'deny')),
    would          TEXT CHECK (would IN ('permit', 'ask', 'deny')),
    policies       TEXT NOT NULL,
    obligations    TEXT NOT NULL,
    findings       TEXT NOT NULL,
    approval       TEXT REFERENCES approval (id),
    status         INTEGER,
    input          INTEGER,
    output         INTEGER,
    outcome        TEXT CHECK (outcome IN ('completed', 'refused', 'aborted', 'failed', 'unknown')),
    reason         TEXT,
    ms             INTEGER,
    policy_version TEXT NOT NULL,
    query          TEXT NOT NULL
) STRICT;

CREATE INDEX exchange_session ON exchange (session);
CREATE INDEX exchange_open ON exchange (id) WHERE outcome IS NULL;

-- What was said, zstd-compressed; `total` counts the bytes that were said, kept or not.
CREATE TABLE body (
    exchange  TEXT NOT NULL REFERENCES exchange (id),
    side      TEXT NOT NULL CHECK (side IN ('request', 'response')),
    zstd      BLOB NOT NULL,
    total     INTEGER NOT NULL,
    truncated INTEGER NOT NULL,
    PRIMARY KEY (exchange, side)
) STRICT;

-- A question to a person and its answer. `exchange` is the one that asked first.
CREATE TABLE approval (
    id             TEXT PRIMARY KEY NOT NULL,
    exchange       TEXT NOT NULL REFERENCES exchange (id),
    asked          INTEGER NOT NULL,
    expires        INTEGER NOT NULL,
    identity       TEXT NOT NULL,
    requester_uid  INTEGER NOT NULL,
    destination    TEXT NOT NULL,
    action         TEXT NOT NULL,
    summary        TEXT NOT NULL,
    digest         BLOB NOT NULL,
    asks           TEXT NOT NULL,
    policy_version TEXT NOT NULL,
    uses           INTEGER NOT NULL,
    state          TEXT NOT NULL CHECK (state IN ('pending', 'approved', 'denied', 'expired')),
    by             TEXT,
    by_uid         INTEGER,
    reason         TEXT,
    at             INTEGER
) STRICT;

CREATE INDEX approval_open ON approval (id) WHERE state = 'pending';
