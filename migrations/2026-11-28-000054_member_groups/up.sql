-- Groups of members: whoever has a label is a member of a room. What a group gives stands
-- as a row of `members`, so that what nodes obey is told as of any other membership; it
-- follows the group and users' labels here, in the transaction that changes them.

CREATE TABLE member_groups (
    room_id uuid NOT NULL REFERENCES rooms ON DELETE CASCADE,
    name text COLLATE "C" NOT NULL CHECK (name ~ '^[a-z0-9-]{1,64}$'),
    label_key text COLLATE "C" NOT NULL CHECK (octet_length(label_key) BETWEEN 1 AND 63),
    label_value text COLLATE "C" NOT NULL CHECK (octet_length(label_value) <= 256),
    role text COLLATE "C" NOT NULL CHECK (role ~ '^[a-z][a-z0-9_-]{0,15}$'),
    expire_time timestamptz,
    create_time timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (room_id, name)
);
CREATE INDEX member_groups_label ON member_groups (label_key, label_value);

-- The group by which a user is a member; null: a membership of the user's own, which
-- counts before any group's while it lasts.
ALTER TABLE members ADD COLUMN group_name text COLLATE "C";
CREATE INDEX members_group ON members (room_id, group_name) WHERE group_name IS NOT NULL;

-- Gives a user the membership that a room's groups give, or takes it: of several groups
-- that which lasts longest.
CREATE FUNCTION members_derive(room uuid, member uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    best member_groups%ROWTYPE;
BEGIN
    IF EXISTS (
        SELECT FROM members
        WHERE room_id = room AND user_id = member AND group_name IS NULL
            AND (expire_time IS NULL OR expire_time > now())
    ) THEN
        RETURN;
    END IF;
    SELECT g.* INTO best
    FROM member_groups AS g JOIN users ON users.id = member
    WHERE g.room_id = room AND users.labels ->> g.label_key = g.label_value
        AND (g.expire_time IS NULL OR g.expire_time > now())
    ORDER BY g.expire_time DESC NULLS FIRST, g.name LIMIT 1;
    IF NOT FOUND THEN
        DELETE FROM members
        WHERE room_id = room AND user_id = member AND group_name IS NOT NULL;
        RETURN;
    END IF;
    INSERT INTO members (room_id, user_id, role, expire_time, group_name)
    VALUES (room, member, best.role, best.expire_time, best.name)
    ON CONFLICT (room_id, user_id) DO UPDATE SET
        role = excluded.role, expire_time = excluded.expire_time,
        group_name = excluded.group_name
    WHERE (members.role, members.expire_time, members.group_name)
        IS DISTINCT FROM (excluded.role, excluded.expire_time, excluded.group_name);
END $$;

-- Who writes a group holds this lock alone, so that of a group and a label that are
-- written at once one sees the other.
CREATE FUNCTION members_follow_labels() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before jsonb := '{}';
BEGIN
    IF TG_OP = 'UPDATE' THEN
        before := OLD.labels;
    END IF;
    PERFORM pg_advisory_xact_lock_shared(hashtext('porthouse.member_groups'));
    PERFORM members_derive(concerned.room_id, NEW.id)
    FROM (
        SELECT DISTINCT room_id FROM member_groups
        WHERE (label_key, label_value) IN (
            SELECT key, value FROM jsonb_each_text(before)
            UNION SELECT key, value FROM jsonb_each_text(NEW.labels)
        )
    ) AS concerned;
    RETURN NULL;
END $$;

CREATE TRIGGER members_labels_insert AFTER INSERT ON users
    FOR EACH ROW WHEN (NEW.labels <> '{}')
    EXECUTE FUNCTION members_follow_labels();
CREATE TRIGGER members_labels_update AFTER UPDATE ON users
    FOR EACH ROW WHEN (NEW.labels IS DISTINCT FROM OLD.labels)
    EXECUTE FUNCTION members_follow_labels();
