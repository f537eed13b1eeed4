DROP TRIGGER policy_members_update ON members;
CREATE TRIGGER policy_members_update AFTER UPDATE ON members
    FOR EACH ROW WHEN ((NEW.expire_time, NEW.role) IS DISTINCT FROM (OLD.expire_time, OLD.role))
    EXECUTE FUNCTION policy_note_member();
CREATE OR REPLACE FUNCTION members_derive(room uuid, member uuid) RETURNS void LANGUAGE plpgsql AS $$
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
ALTER TABLE members DROP COLUMN then_role, DROP COLUMN then_expire_time;
