-- Nanodollars: what a call may cost, known before it goes out, and what it did cost.
ALTER TABLE exchange ADD COLUMN reserved INTEGER;
ALTER TABLE exchange ADD COLUMN cost INTEGER;

CREATE INDEX exchange_spent ON exchange (at) WHERE cost IS NOT NULL OR reserved IS NOT NULL;
