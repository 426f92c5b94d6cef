-- Who opened the connection: the workload, or somebody who came to its server.

ALTER TABLE session ADD COLUMN direction TEXT NOT NULL DEFAULT 'outbound' CHECK (direction IN ('outbound', 'inbound'));
