ALTER TABLE room_blocks DISABLE TRIGGER policy_room_blocks_write;
DELETE FROM room_blocks WHERE device_id IS NOT NULL;
ALTER TABLE room_blocks ENABLE TRIGGER policy_room_blocks_write;
ALTER TABLE room_blocks
    DROP CONSTRAINT room_blocks_check,
    DROP COLUMN device_id,
    ADD CONSTRAINT room_blocks_check CHECK ((user_id IS NULL) <> (address_range IS NULL));

CREATE OR REPLACE FUNCTION policy_note_block() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    block room_blocks;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF (NEW.id, NEW.room_id, NEW.user_id, NEW.address_range)
            IS DISTINCT FROM (OLD.id, OLD.room_id, OLD.user_id, OLD.address_range) THEN
            RAISE EXCEPTION 'a block keeps its identity, its room and whom it is of'
                USING ERRCODE = 'check_violation';
        END IF;
        -- Nodes know no reasons.
        IF NEW.expire_time IS NOT DISTINCT FROM OLD.expire_time THEN
            RETURN NULL;
        END IF;
    END IF;
    IF TG_OP = 'DELETE' THEN
        block := OLD;
        IF block.expire_time <= now()
            OR NOT EXISTS (SELECT FROM rooms WHERE id = block.room_id)
            OR block.user_id IS NOT NULL
                AND NOT EXISTS (SELECT FROM users WHERE id = block.user_id) THEN
            RETURN NULL;
        END IF;
    ELSE
        block := NEW;
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
        VALUES (CASE TG_OP WHEN 'DELETE' THEN 'block_gone' ELSE 'block' END,
                block.room_id, block.user_id);
    END IF;
    RETURN NULL;
END $$;
