-- Certificates that an operator trusts for a service beside the host's roots and the configuration, and who said so.
CREATE TABLE imported_root (
    id TEXT NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    service TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    subject TEXT NOT NULL,
    certificate BLOB NOT NULL,
    reason TEXT,
    withdrawn INTEGER,
    withdrawn_uid INTEGER
) STRICT;

CREATE UNIQUE INDEX imported_root_in_force ON imported_root (service, sha256) WHERE withdrawn IS NULL;
