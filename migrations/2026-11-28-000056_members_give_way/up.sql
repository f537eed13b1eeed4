-- A membership of a user's own that ends gives way to what the room's groups give, at that
-- moment: nodes are told of both beforehand. What comes after it stands in the same row,
-- and takes its place once somebody looks.

ALTER TABLE members
    ADD COLUMN then_role text COLLATE "C" CHECK (then_role ~ '^[a-z][a-z0-9_-]{0,15}$'),
    ADD COLUMN then_expire_time timestamptz,
    ADD CHECK (then_role IS NOT NULL OR then_expire_time IS NULL);
CREATE INDEX members_then ON members (expire_time) WHERE then_role IS NOT NULL;

-- Gives a user the membership that a room's groups give, or takes it: of several groups
-- that which lasts longest. While one of their own lasts, it is what comes after.
CREATE OR REPLACE FUNCTION members_derive(room uuid, member uuid) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    own members%ROWTYPE;
    best member_groups%ROWTYPE;
BEGIN
    SELECT m.* INTO own FROM members AS m
    WHERE m.room_id = room AND m.user_id = member AND m.group_name IS NULL
        AND (m.expire_time IS NULL OR m.expire_time > now());
    SELECT g.* INTO best
    FROM member_groups AS g JOIN users ON users.id = member
    WHERE g.room_id = room AND users.labels ->> g.label_key = g.label_value
        AND (g.expire_time IS NULL OR g.expire_time > coalesce(own.expire_time, now()))
        -- Nothing comes after what never ends.
        AND (own.room_id IS NULL OR own.expire_time IS NOT NULL)
    ORDER BY g.expire_time DESC NULLS FIRST, g.name LIMIT 1;
    IF own.room_id IS NOT NULL THEN
        UPDATE members SET then_role = best.role, then_expire_time = best.expire_time
        WHERE room_id = room AND user_id = member AND group_name IS NULL
            AND (then_role, then_expire_time)
                IS DISTINCT FROM (best.role, best.expire_time);
        RETURN;
    END IF;
    IF best.room_id IS NULL THEN
        DELETE FROM members
        WHERE room_id = room AND user_id = member AND group_name IS NOT NULL;
        RETURN;
    END IF;
    INSERT INTO members (room_id, user_id, role, expire_time, group_name)
    VALUES (room, member, best.role, best.expire_time, best.name)
    ON CONFLICT (room_id, user_id) DO UPDATE SET
        role = excluded.role, expire_time = excluded.expire_time,
        group_name = excluded.group_name,
        then_role = NULL, then_expire_time = NULL,
        version = members.version + 1, update_time = now()
    WHERE (members.group_name IS NOT NULL OR members.expire_time <= now())
        AND (members.role, members.expire_time, members.group_name)
            IS DISTINCT FROM (excluded.role, excluded.expire_time, excluded.group_name);
END $$;

-- Before nodes are told of such changes: those that run are told when they resolve.
SELECT members_derive(room_id, user_id) FROM members
WHERE group_name IS NULL AND expire_time > now();

DROP TRIGGER policy_members_update ON members;
CREATE TRIGGER policy_members_update AFTER UPDATE ON members
    FOR EACH ROW WHEN ((NEW.expire_time, NEW.role, NEW.then_role, NEW.then_expire_time)
        IS DISTINCT FROM (OLD.expire_time, OLD.role, OLD.then_role, OLD.then_expire_time))
    EXECUTE FUNCTION policy_note_member();
