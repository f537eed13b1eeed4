-- What nodes obey, as one log in commit order.
--
-- A transaction that changes what nodes obey ends with two statements: the
-- advisory lock, held to commit, and then, in a fresh snapshot, the next
-- revision. Triggers note what changed; a deferred trigger refuses to commit
-- what was not numbered, so no write can bypass the log.

CREATE TABLE policy_log (
    revision bigint PRIMARY KEY CHECK (revision > 0),
    -- SHA-256(chain of the revision before, followed by payload).
    chain bytea NOT NULL CHECK (octet_length(chain) = 32),
    -- A serialised porthouse.node.v1.ChangePayload.
    payload bytea NOT NULL,
    time timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Changes of transactions under way that have no revision yet. Numbering a
-- change takes it out of here, so committed rows do not exist.
CREATE TABLE policy_pending (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN (
        'room', 'room_gone', 'member', 'member_gone', 'session_gone', 'user_gone', 'api_key_gone')),
    -- The room, session, user or API key; of a membership its room.
    subject_id uuid NOT NULL,
    -- Of a membership its user.
    user_id uuid,
    -- Of a room that is gone its name.
    name text,
    CHECK ((kind IN ('member', 'member_gone')) = (user_id IS NOT NULL)),
    CHECK ((kind = 'room_gone') = (name IS NOT NULL))
);

CREATE FUNCTION policy_refuse_unnumbered() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM policy_pending WHERE id = NEW.id) THEN
        RAISE EXCEPTION 'a change that nodes obey was not given a revision'
            USING ERRCODE = 'check_violation',
                  CONSTRAINT = 'policy_pending_numbered',
                  HINT = 'Write through the control plane, which numbers what it changes.';
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER policy_pending_numbered
    AFTER INSERT ON policy_pending DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION policy_refuse_unnumbered();

-- The log only grows; compaction, when it comes, removes from its start.
CREATE FUNCTION policy_log_refuse_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the policy log only grows' USING ERRCODE = 'check_violation';
END $$;

CREATE TRIGGER policy_log_immutable BEFORE UPDATE ON policy_log
    FOR EACH ROW EXECUTE FUNCTION policy_log_refuse_update();

-- Users: disabled, deleted, password changed. Their sessions end with them, and
-- one item says so however many there were.
CREATE FUNCTION policy_note_user() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO policy_pending (kind, subject_id) VALUES ('user_gone', OLD.id);
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;
    DELETE FROM sessions WHERE user_id = NEW.id;
    RETURN NEW;
END $$;

CREATE TRIGGER policy_users_update AFTER UPDATE ON users
    FOR EACH ROW
    WHEN ((NEW.disabled AND NOT OLD.disabled) OR NEW.password_version <> OLD.password_version)
    EXECUTE FUNCTION policy_note_user();

-- Before the deletion, so that it is noted when the cascade reaches sessions
-- and memberships.
CREATE TRIGGER policy_users_delete BEFORE DELETE ON users
    FOR EACH ROW EXECUTE FUNCTION policy_note_user();

-- A session that has expired ends everywhere by itself.
CREATE FUNCTION policy_note_session() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM policy_pending WHERE kind = 'user_gone' AND subject_id = OLD.user_id
    ) THEN
        INSERT INTO policy_pending (kind, subject_id) VALUES ('session_gone', OLD.id);
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER policy_sessions_delete AFTER DELETE ON sessions
    FOR EACH ROW WHEN (OLD.expire_time > now()) EXECUTE FUNCTION policy_note_session();

-- Nodes keep the key they resolved, so a key that can do less ends too and is
-- resolved anew.
CREATE FUNCTION policy_note_api_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO policy_pending (kind, subject_id) VALUES ('api_key_gone', OLD.id);
    RETURN NULL;
END $$;

CREATE TRIGGER policy_api_keys_update AFTER UPDATE ON api_keys
    FOR EACH ROW
    WHEN (NEW.scopes IS DISTINCT FROM OLD.scopes
        OR NEW.expire_time IS DISTINCT FROM OLD.expire_time
        OR NEW.secret_sha256 <> OLD.secret_sha256)
    EXECUTE FUNCTION policy_note_api_key();

CREATE TRIGGER policy_api_keys_delete AFTER DELETE ON api_keys
    FOR EACH ROW EXECUTE FUNCTION policy_note_api_key();

CREATE FUNCTION policy_note_room() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        INSERT INTO policy_pending (kind, subject_id, name) VALUES ('room_gone', OLD.id, OLD.name);
        RETURN NULL;
    END IF;
    IF TG_OP = 'UPDATE' AND (NEW.id <> OLD.id OR NEW.name <> OLD.name) THEN
        RAISE EXCEPTION 'a room keeps its identity and its name' USING ERRCODE = 'check_violation';
    END IF;
    INSERT INTO policy_pending (kind, subject_id) VALUES ('room', NEW.id);
    RETURN NULL;
END $$;

CREATE TRIGGER policy_rooms_insert AFTER INSERT ON rooms
    FOR EACH ROW EXECUTE FUNCTION policy_note_room();
CREATE TRIGGER policy_rooms_update AFTER UPDATE ON rooms
    FOR EACH ROW
    WHEN ((NEW.id, NEW.name, NEW.owner_id, NEW.members_only, NEW.user_required, NEW.text_refused,
           NEW.binary_refused, NEW.message_bytes_max, NEW.echo, NEW.receivers_named,
           NEW.admit_max_ms, NEW.deliver_max_ms, NEW.password_version)
        IS DISTINCT FROM
          (OLD.id, OLD.name, OLD.owner_id, OLD.members_only, OLD.user_required, OLD.text_refused,
           OLD.binary_refused, OLD.message_bytes_max, OLD.echo, OLD.receivers_named,
           OLD.admit_max_ms, OLD.deliver_max_ms, OLD.password_version))
    EXECUTE FUNCTION policy_note_room();
CREATE TRIGGER policy_rooms_delete AFTER DELETE ON rooms
    FOR EACH ROW EXECUTE FUNCTION policy_note_room();

-- Memberships that go because their room or user does are covered by it.
CREATE FUNCTION policy_note_member() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO policy_pending (kind, subject_id, user_id)
        VALUES ('member', NEW.room_id, NEW.user_id);
    ELSIF EXISTS (SELECT FROM rooms WHERE id = OLD.room_id)
        AND EXISTS (SELECT FROM users WHERE id = OLD.user_id) THEN
        INSERT INTO policy_pending (kind, subject_id, user_id)
        VALUES ('member_gone', OLD.room_id, OLD.user_id);
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER policy_members_insert AFTER INSERT ON members
    FOR EACH ROW EXECUTE FUNCTION policy_note_member();
CREATE TRIGGER policy_members_update AFTER UPDATE ON members
    FOR EACH ROW WHEN (NEW.expire_time IS DISTINCT FROM OLD.expire_time)
    EXECUTE FUNCTION policy_note_member();
CREATE TRIGGER policy_members_delete AFTER DELETE ON members
    FOR EACH ROW EXECUTE FUNCTION policy_note_member();
