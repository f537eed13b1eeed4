-- A device may be kept out of a room that does not keep its owner out. Nodes are
-- told of it with the device.

ALTER TABLE room_blocks
    ADD COLUMN device_id uuid REFERENCES device_tokens ON DELETE CASCADE,
    DROP CONSTRAINT room_blocks_check,
    ADD CONSTRAINT room_blocks_check CHECK (num_nonnulls(user_id, address_range, device_id) = 1),
    ADD CONSTRAINT room_blocks_room_id_device_id_key UNIQUE (room_id, device_id);
CREATE INDEX room_blocks_device ON room_blocks (device_id);

CREATE OR REPLACE FUNCTION policy_note_block() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    block room_blocks;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF (NEW.id, NEW.room_id, NEW.user_id, NEW.address_range, NEW.device_id)
            IS DISTINCT FROM
                (OLD.id, OLD.room_id, OLD.user_id, OLD.address_range, OLD.device_id) THEN
            RAISE EXCEPTION 'a block keeps its identity, its room and whom it is of'
                USING ERRCODE = 'check_violation';
        END IF;
        -- Nodes know no reasons.
        IF NEW.expire_time IS NOT DISTINCT FROM OLD.expire_time THEN
            RETURN NULL;
        END IF;
    END IF;
    IF coalesce(NEW.device_id, OLD.device_id) IS NOT NULL THEN
        -- Where the room is gone, too: another of its name keeps nobody out.
        INSERT INTO policy_pending (kind, subject_id)
        SELECT 'device_token', id FROM device_tokens
        WHERE id = coalesce(NEW.device_id, OLD.device_id);
        RETURN NULL;
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
