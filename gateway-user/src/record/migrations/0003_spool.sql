-- The number of the last change of the spool that is in these tables.

CREATE TABLE spool (applied INTEGER NOT NULL) STRICT;

INSERT INTO spool VALUES (0);
