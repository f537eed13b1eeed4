DROP TABLE room_blocks;
DROP FUNCTION policy_note_block();
ALTER TABLE policy_pending
    DROP CONSTRAINT policy_pending_check,
    ADD CONSTRAINT policy_pending_check
        CHECK ((kind IN ('member', 'member_gone')) = (user_id IS NOT NULL));
