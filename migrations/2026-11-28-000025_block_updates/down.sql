CREATE OR REPLACE FUNCTION policy_note_block() RETURNS trigger LANGUAGE plpgsql AS $$
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

ALTER TABLE room_blocks DROP COLUMN version;
