-- Tickets: each opens one socket of a session, for a while. None of it concerns nodes
-- that do not ask, so none of it is in the log.
CREATE TABLE tickets (
    ticket_sha256 bytea PRIMARY KEY CHECK (octet_length(ticket_sha256) = 32),
    session_id uuid NOT NULL REFERENCES sessions ON DELETE CASCADE,
    -- The page that may show it; empty: none, who shows it is no browser.
    origin text NOT NULL CHECK (octet_length(origin) <= 255),
    -- Where it may be shown.
    path text NOT NULL CHECK (octet_length(path) BETWEEN 1 AND 255),
    expire_time timestamptz NOT NULL,
    -- The upgrade that it opened; null: none yet.
    used_by bytea CHECK (octet_length(used_by) BETWEEN 1 AND 64),
    use_time timestamptz,
    CHECK ((used_by IS NULL) = (use_time IS NULL))
);
CREATE INDEX tickets_session ON tickets (session_id, expire_time);
