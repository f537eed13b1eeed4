-- A room's rules as one message, since nothing in SQL asks them one by one; and
-- as what a member comes.

-- A serialised porthouse.node.v1.RoomRules. The versions of its steps are 0 and
-- `members_only` is not in it: these stand in columns of their own.
ALTER TABLE rooms ADD COLUMN rules bytea CHECK (octet_length(rules) <= 65536);

-- Protobuf's wire format, as far as the rules so far need it.
CREATE FUNCTION pg_temp.rules_varint(n bigint) RETURNS bytea LANGUAGE plpgsql AS $$
DECLARE
    bytes bytea := '';
BEGIN
    WHILE n > 127 LOOP
        bytes := bytes || set_byte('\x00', 0, (n & 127 | 128)::integer);
        n := n >> 7;
    END LOOP;
    RETURN bytes || set_byte('\x00', 0, n::integer);
END $$;

-- A number; 0 is not written.
CREATE FUNCTION pg_temp.rules_number(field integer, n bigint) RETURNS bytea LANGUAGE sql AS $$
    SELECT CASE n WHEN 0 THEN '' ELSE
        pg_temp.rules_varint(field << 3) || pg_temp.rules_varint(n) END
$$;

-- A google.protobuf.Duration; null is not written.
CREATE FUNCTION pg_temp.rules_span(field integer, ms bigint) RETURNS bytea LANGUAGE sql AS $$
    SELECT coalesce(
        pg_temp.rules_varint(field << 3 | 2) || pg_temp.rules_varint(length(span)) || span, '')
    FROM (SELECT pg_temp.rules_number(1, ms / 1000)
              || pg_temp.rules_number(2, ms % 1000 * 1000000) AS span) AS written
$$;

UPDATE rooms SET rules =
       pg_temp.rules_number(1, CASE WHEN user_required THEN 2 ELSE 1 END)
    || pg_temp.rules_number(3, CASE WHEN text_refused THEN 3 WHEN binary_refused THEN 2 ELSE 1 END)
    || pg_temp.rules_number(4, message_bytes_max)
    || pg_temp.rules_number(5, echo::integer)
    || pg_temp.rules_number(6, receivers_named::integer)
    || pg_temp.rules_span(7, admit_max_ms)
    || pg_temp.rules_span(8, deliver_max_ms);

DROP FUNCTION pg_temp.rules_span;
DROP FUNCTION pg_temp.rules_number;
DROP FUNCTION pg_temp.rules_varint;

DROP TRIGGER policy_rooms_update ON rooms;
ALTER TABLE rooms
    ALTER COLUMN rules SET NOT NULL,
    DROP COLUMN user_required,
    DROP COLUMN text_refused,
    DROP COLUMN binary_refused,
    DROP COLUMN message_bytes_max,
    DROP COLUMN echo,
    DROP COLUMN receivers_named,
    DROP COLUMN admit_max_ms,
    DROP COLUMN deliver_max_ms;
CREATE TRIGGER policy_rooms_update AFTER UPDATE ON rooms
    FOR EACH ROW
    WHEN ((NEW.id, NEW.name, NEW.owner_id, NEW.members_only, NEW.rules, NEW.password_version)
        IS DISTINCT FROM
          (OLD.id, OLD.name, OLD.owner_id, OLD.members_only, OLD.rules, OLD.password_version))
    EXECUTE FUNCTION policy_note_room();

ALTER TABLE members ADD COLUMN role text COLLATE "C" NOT NULL DEFAULT 'member'
    CHECK (role ~ '^[a-z][a-z0-9_-]{0,15}$');
CREATE INDEX members_role ON members (room_id, role);

DROP TRIGGER policy_members_update ON members;
CREATE TRIGGER policy_members_update AFTER UPDATE ON members
    FOR EACH ROW WHEN ((NEW.expire_time, NEW.role) IS DISTINCT FROM (OLD.expire_time, OLD.role))
    EXECUTE FUNCTION policy_note_member();
