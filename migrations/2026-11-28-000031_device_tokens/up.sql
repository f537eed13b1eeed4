-- What devices come by that have no login of their own.

CREATE TABLE device_tokens (
    id uuid PRIMARY KEY,
    -- A token goes with its owner.
    owner_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    display_name text NOT NULL DEFAULT '' CHECK (octet_length(display_name) <= 1024),
    token_sha256 bytea NOT NULL UNIQUE CHECK (octet_length(token_sha256) = 32),
    -- What it may do at most, a bit an act.
    acts smallint NOT NULL CHECK (acts BETWEEN 0 AND 255),
    -- The names of the rooms it may enter.
    rooms text[] NOT NULL CHECK (cardinality(rooms) <= 32),
    expire_time timestamptz NOT NULL,
    -- When a node last asked about it, to the minute. Null: none has.
    last_used_time timestamptz,
    -- Grows with each change; the etag.
    version bigint NOT NULL DEFAULT 1,
    create_time timestamptz NOT NULL DEFAULT now(),
    update_time timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX device_tokens_owner ON device_tokens (owner_id, id);

-- Nodes keep a token that they resolved, so they are told how it stands, and that
-- it ended. One that has expired has ended everywhere by itself. That a token was
-- made they need not know: nobody can have shown it before.
CREATE FUNCTION policy_note_device_token() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF NEW.id <> OLD.id OR NEW.owner_id <> OLD.owner_id
            OR NEW.token_sha256 <> OLD.token_sha256 THEN
            RAISE EXCEPTION 'a device token keeps its identity, its owner and its secret'
                USING ERRCODE = 'check_violation';
        END IF;
        INSERT INTO policy_pending (kind, subject_id) VALUES ('device_token', NEW.id);
    ELSIF NOT EXISTS (
        SELECT FROM policy_pending WHERE kind = 'user_gone' AND subject_id = OLD.owner_id
    ) THEN
        INSERT INTO policy_pending (kind, subject_id) VALUES ('session_gone', OLD.id);
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER policy_device_tokens_update AFTER UPDATE ON device_tokens
    FOR EACH ROW
    WHEN ((NEW.id, NEW.owner_id, NEW.token_sha256, NEW.display_name, NEW.acts, NEW.rooms,
           NEW.expire_time)
        IS DISTINCT FROM
          (OLD.id, OLD.owner_id, OLD.token_sha256, OLD.display_name, OLD.acts, OLD.rooms,
           OLD.expire_time))
    EXECUTE FUNCTION policy_note_device_token();
CREATE TRIGGER policy_device_tokens_delete AFTER DELETE ON device_tokens
    FOR EACH ROW WHEN (OLD.expire_time > now()) EXECUTE FUNCTION policy_note_device_token();

-- All tokens of a user, where the user may be used.
CREATE FUNCTION policy_note_device_tokens_of(of_user uuid) RETURNS void LANGUAGE sql AS $$
    INSERT INTO policy_pending (kind, subject_id)
    SELECT 'device_token', token.id
    FROM device_tokens AS token JOIN users ON users.id = token.owner_id
    WHERE token.owner_id = of_user AND token.expire_time > now() AND NOT users.disabled
    ORDER BY token.id
$$;

-- What ends all sessions of a user ends no token of theirs, unless the user is
-- disabled or gone; one item ends all of them, so those that stay follow it.
CREATE FUNCTION policy_note_devices_that_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM policy_note_device_tokens_of(NEW.subject_id);
    RETURN NULL;
END $$;

CREATE TRIGGER policy_pending_user_gone AFTER INSERT ON policy_pending
    FOR EACH ROW WHEN (NEW.kind = 'user_gone')
    EXECUTE FUNCTION policy_note_devices_that_stay();

-- A user who is enabled again brings their tokens back.
CREATE FUNCTION policy_note_user_enabled() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM policy_note_device_tokens_of(NEW.id);
    RETURN NULL;
END $$;

CREATE TRIGGER policy_users_enabled AFTER UPDATE ON users
    FOR EACH ROW WHEN (OLD.disabled AND NOT NEW.disabled)
    EXECUTE FUNCTION policy_note_user_enabled();
