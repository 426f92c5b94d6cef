-- What surrogates stand for, sealed under a key that this file does not have. The order of rows is that in which they were made.
CREATE TABLE surrogate (
    number INTEGER PRIMARY KEY,
    identity TEXT NOT NULL,
    surrogate TEXT NOT NULL,
    detector TEXT NOT NULL,
    class TEXT NOT NULL,
    sealed TEXT NOT NULL,
    UNIQUE (identity, surrogate)
) STRICT;

CREATE INDEX surrogate_of ON surrogate (identity);
