-- What a room asks at its door by a secret of its own: codes of the time, and its
-- owner's backend. Versions are drawn as the password's are.

ALTER TABLE rooms
    -- What codes are made of, sealed; null: no code.
    ADD COLUMN code_sealed bytea CHECK (octet_length(code_sealed) BETWEEN 1 AND 512),
    ADD COLUMN code_version bigint NOT NULL DEFAULT 0,
    ADD COLUMN code_count bigint NOT NULL DEFAULT 0,
    -- Null: no hook.
    ADD COLUMN hook_url text CHECK (octet_length(hook_url) BETWEEN 1 AND 255),
    ADD COLUMN hook_deadline_ms integer NOT NULL DEFAULT 0,
    -- What the backend is shown, sealed; null: nothing.
    ADD COLUMN hook_secret_sealed bytea CHECK (octet_length(hook_secret_sealed) BETWEEN 1 AND 2048),
    ADD COLUMN hook_version bigint NOT NULL DEFAULT 0,
    ADD COLUMN hook_count bigint NOT NULL DEFAULT 0,
    ADD CHECK ((code_sealed IS NULL) = (code_version = 0)),
    ADD CHECK (code_version IN (0, code_count)),
    ADD CHECK ((hook_url IS NULL) = (hook_version = 0)),
    ADD CHECK (hook_version IN (0, hook_count)),
    ADD CHECK (hook_url IS NOT NULL OR hook_secret_sealed IS NULL);

CREATE TRIGGER policy_rooms_door_update AFTER UPDATE ON rooms
    FOR EACH ROW
    WHEN ((NEW.code_version, NEW.hook_version) IS DISTINCT FROM (OLD.code_version, OLD.hook_version))
    EXECUTE FUNCTION policy_note_room();

-- Codes of rooms that were taken, and wrong ones. Of a user both stand in one
-- row; of clients that are not signed in, what was taken is by client and what
-- was wrong by network. What is a day old is of no use.
CREATE TABLE room_code_uses (
    room_id uuid NOT NULL REFERENCES rooms ON DELETE CASCADE,
    code_version bigint NOT NULL,
    who text COLLATE "C" NOT NULL CHECK (octet_length(who) BETWEEN 1 AND 300),
    -- The step of the last code that was taken; only grows.
    step_last bigint NOT NULL DEFAULT 0,
    wrong_count integer NOT NULL DEFAULT 0,
    wrong_time timestamptz,
    use_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (room_id, code_version, who)
);
CREATE INDEX room_code_uses_time ON room_code_uses (use_time);
