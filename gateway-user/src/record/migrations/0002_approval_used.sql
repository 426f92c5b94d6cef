-- How often an approval has been used; written before the request that uses it goes out. What was approved before this column
-- was there may have been used, so it counts as used.
ALTER TABLE approval ADD COLUMN used INTEGER NOT NULL DEFAULT 0;
UPDATE approval SET used = uses WHERE state = 'approved';

-- A start reads what still stands; a person may name a question that is over.
CREATE INDEX approval_expires ON approval (expires);
