-- Nodes that have policy, and how far each has applied it.
--
-- A node is given no word after `lease_until`, so from then its rooms deliver
-- for at most `deliver_max_ms`. The row goes when the node says that it leaves
-- or when it is deleted, never by time alone.

CREATE TABLE nodes (
    name text COLLATE "C" PRIMARY KEY CHECK (octet_length(name) BETWEEN 1 AND 63),
    -- Drawn anew at each start of the node's process.
    incarnation bytea NOT NULL CHECK (octet_length(incarnation) = 16),
    -- No word goes to the node after this, unless the lease is extended first.
    lease_until timestamptz NOT NULL,
    -- Every puddle has settled the turn in which this revision was applied.
    applied_revision bigint NOT NULL DEFAULT 0,
    -- How long a room of it may deliver without word, at most 366 days; null:
    -- without limit.
    deliver_max_ms bigint CHECK (deliver_max_ms BETWEEN 0 AND 31622400000),
    puddles integer NOT NULL DEFAULT 0,
    sockets bigint NOT NULL DEFAULT 0,
    version text NOT NULL DEFAULT '' CHECK (octet_length(version) <= 255),
    listeners text[] NOT NULL DEFAULT '{}' CHECK (cardinality(listeners) <= 64),
    start_time timestamptz NOT NULL DEFAULT clock_timestamp()
);
