-- Refused while a room has rules, or a member a role, for which there were no
-- columns: without them, what they refuse would be allowed.

DROP TRIGGER policy_members_update ON members;
CREATE TRIGGER policy_members_update AFTER UPDATE ON members
    FOR EACH ROW WHEN (NEW.expire_time IS DISTINCT FROM OLD.expire_time)
    EXECUTE FUNCTION policy_note_member();
DO $$ BEGIN
    IF EXISTS (SELECT FROM members WHERE role <> 'member') THEN
        RAISE EXCEPTION 'a member has a role, which the earlier version does not know';
    END IF;
END $$;
ALTER TABLE members DROP COLUMN role;

-- The fields of a protobuf message, of which each is a number or bytes.
CREATE FUNCTION pg_temp.rules_read(message bytea)
RETURNS TABLE (field bigint, number bigint, bytes bytea) LANGUAGE plpgsql AS $$
DECLARE
    at integer := 0;
    tag bigint;
    byte integer;
    shift integer;
BEGIN
    WHILE at < length(message) LOOP
        tag := NULL;
        bytes := NULL;
        -- The tag, then the number or the length.
        LOOP
            number := 0;
            shift := 0;
            LOOP
                byte := get_byte(message, at);
                at := at + 1;
                number := number | ((byte & 127)::bigint << shift);
                shift := shift + 7;
                EXIT WHEN byte < 128;
            END LOOP;
            EXIT WHEN tag IS NOT NULL;
            tag := number;
        END LOOP;
        field := tag >> 3;
        IF tag & 7 = 2 THEN
            bytes := substring(message FROM at + 1 FOR number::integer);
            at := at + number::integer;
        ELSIF tag & 7 <> 0 THEN
            RAISE EXCEPTION 'rooms.rules cannot be read';
        END IF;
        RETURN NEXT;
    END LOOP;
END $$;

CREATE FUNCTION pg_temp.rules_number(message bytea, wanted integer) RETURNS bigint LANGUAGE sql AS $$
    SELECT coalesce((SELECT number FROM pg_temp.rules_read(message) WHERE field = wanted), 0)
$$;

CREATE FUNCTION pg_temp.rules_ms(message bytea, wanted integer) RETURNS bigint LANGUAGE sql AS $$
    SELECT pg_temp.rules_number(bytes, 1) * 1000 + pg_temp.rules_number(bytes, 2) / 1000000
    FROM pg_temp.rules_read(message) WHERE field = wanted
$$;

DO $$ BEGIN
    IF EXISTS (SELECT FROM rooms, pg_temp.rules_read(rules) WHERE field > 8) THEN
        RAISE EXCEPTION 'a room has rules that the earlier version does not know';
    END IF;
END $$;

DROP TRIGGER policy_rooms_update ON rooms;
ALTER TABLE rooms
    ADD COLUMN user_required boolean NOT NULL DEFAULT false,
    ADD COLUMN text_refused boolean NOT NULL DEFAULT false,
    ADD COLUMN binary_refused boolean NOT NULL DEFAULT false,
    ADD COLUMN message_bytes_max integer NOT NULL DEFAULT 65536 CHECK (message_bytes_max BETWEEN 1 AND 16777216),
    ADD COLUMN echo boolean NOT NULL DEFAULT false,
    ADD COLUMN receivers_named boolean NOT NULL DEFAULT true,
    ADD COLUMN admit_max_ms bigint NOT NULL DEFAULT 900000 CHECK (admit_max_ms >= 0),
    ADD COLUMN deliver_max_ms bigint CHECK (deliver_max_ms >= 0),
    ADD CHECK (NOT (text_refused AND binary_refused));
UPDATE rooms SET
    user_required = pg_temp.rules_number(rules, 1) <> 1,
    text_refused = pg_temp.rules_number(rules, 3) = 3,
    binary_refused = pg_temp.rules_number(rules, 3) = 2,
    message_bytes_max = pg_temp.rules_number(rules, 4),
    echo = pg_temp.rules_number(rules, 5) = 1,
    receivers_named = pg_temp.rules_number(rules, 6) = 1,
    admit_max_ms = pg_temp.rules_ms(rules, 7),
    deliver_max_ms = pg_temp.rules_ms(rules, 8);
ALTER TABLE rooms DROP COLUMN rules;
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

DROP FUNCTION pg_temp.rules_ms;
DROP FUNCTION pg_temp.rules_number;
DROP FUNCTION pg_temp.rules_read;
