-- Who is kept out of a room, and until when.

CREATE TABLE room_blocks (
    id uuid PRIMARY KEY,
    room_id uuid NOT NULL REFERENCES rooms ON DELETE CASCADE,
    -- One of the two: a user, or a range of addresses as CIDR.
    user_id uuid REFERENCES users ON DELETE CASCADE,
    address_range text COLLATE "C" CHECK (octet_length(address_range) BETWEEN 4 AND 64),
    reason text NOT NULL DEFAULT '' CHECK (octet_length(reason) <= 1024),
    -- Null: never.
    expire_time timestamptz,
    create_time timestamptz NOT NULL DEFAULT now(),
    CHECK ((user_id IS NULL) <> (address_range IS NULL)),
    UNIQUE (room_id, user_id),
    UNIQUE (room_id, address_range)
);
CREATE INDEX room_blocks_user ON room_blocks (user_id);

ALTER TABLE policy_pending
    DROP CONSTRAINT policy_pending_check,
    ADD CONSTRAINT policy_pending_check
        CHECK ((kind IN ('member', 'member_gone', 'block', 'block_gone')) = (user_id IS NOT NULL));

-- A node asks about each user of a room that has blocked any, and is told of all
-- ranges with the room. So the room is noted when its first block of a user comes
-- and its last one goes, and with every range. Whoever writes here has locked the
-- room. Blocks that go because their room or user does are covered by it, and one
-- that has expired has ended everywhere by itself.
CREATE FUNCTION policy_note_block() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    block room_blocks;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        RAISE EXCEPTION 'a block is made and taken away, and never changed'
            USING ERRCODE = 'check_violation';
    END IF;
    IF TG_OP = 'INSERT' THEN
        block := NEW;
    ELSE
        block := OLD;
        IF block.expire_time <= now()
            OR NOT EXISTS (SELECT FROM rooms WHERE id = block.room_id)
            OR block.user_id IS NOT NULL
                AND NOT EXISTS (SELECT FROM users WHERE id = block.user_id) THEN
            RETURN NULL;
        END IF;
    END IF;
    IF block.user_id IS NULL OR NOT EXISTS (
        SELECT FROM room_blocks AS other
        WHERE other.room_id = block.room_id AND other.user_id IS NOT NULL AND other.id <> block.id
            AND coalesce(other.expire_time > now(), true)
    ) THEN
        INSERT INTO policy_pending (kind, subject_id) VALUES ('room', block.room_id);
    END IF;
    IF block.user_id IS NOT NULL THEN
        INSERT INTO policy_pending (kind, subject_id, user_id)
        VALUES (CASE TG_OP WHEN 'INSERT' THEN 'block' ELSE 'block_gone' END,
                block.room_id, block.user_id);
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER policy_room_blocks_write AFTER INSERT OR UPDATE OR DELETE ON room_blocks
    FOR EACH ROW EXECUTE FUNCTION policy_note_block();
