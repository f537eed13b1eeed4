-- When sessions were last seen, as nodes tell it, and for how long that is complete.
-- None of it is in the log.

-- Up to when the node has told whom it saw.
ALTER TABLE nodes ADD COLUMN seen_time timestamptz NOT NULL DEFAULT clock_timestamp();

-- One row: up to when every node had told, and since when without a break. A
-- session's idle time counts from no earlier than that.
CREATE TABLE session_watch (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    seen_through_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    resume_time timestamptz NOT NULL DEFAULT clock_timestamp()
);
INSERT INTO session_watch DEFAULT VALUES;
