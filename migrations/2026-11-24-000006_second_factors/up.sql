-- Users' second factors and recovery codes, and when a session showed one.

-- Codes of the time. A row that is not enabled waits for its first code.
CREATE TABLE second_factors (
    user_id uuid PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    -- What codes are made of, sealed under a key that is not in the database.
    secret_sealed bytea NOT NULL CHECK (octet_length(secret_sealed) BETWEEN 1 AND 512),
    -- Null: no code of it was confirmed yet.
    enable_time timestamptz,
    -- The step of the last code that was taken. It only grows: a code whose step
    -- is not above it was taken before, or is older than one that was.
    step_last bigint NOT NULL DEFAULT 0,
    -- Wrong codes since the last right one, and when the last of them was.
    wrong_count integer NOT NULL DEFAULT 0,
    wrong_time timestamptz
);

-- A code that is used is deleted.
CREATE TABLE recovery_codes (
    user_id uuid NOT NULL REFERENCES second_factors ON DELETE CASCADE,
    code_sha256 bytea NOT NULL CHECK (octet_length(code_sha256) = 32),
    PRIMARY KEY (user_id, code_sha256)
);

-- Null: never. Nodes keep a session that they resolved, so they are told.
ALTER TABLE sessions ADD COLUMN second_factor_time timestamptz;

ALTER TABLE policy_pending
    DROP CONSTRAINT policy_pending_kind_check,
    ADD CONSTRAINT policy_pending_kind_check CHECK (kind IN (
        'room', 'room_gone', 'member', 'member_gone', 'session', 'session_gone', 'user_gone',
        'api_key_gone'));

CREATE FUNCTION policy_note_session_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO policy_pending (kind, subject_id) VALUES ('session', NEW.id);
    RETURN NULL;
END $$;

CREATE TRIGGER policy_sessions_update AFTER UPDATE ON sessions
    FOR EACH ROW WHEN (NEW.second_factor_time IS DISTINCT FROM OLD.second_factor_time)
    EXECUTE FUNCTION policy_note_session_change();
