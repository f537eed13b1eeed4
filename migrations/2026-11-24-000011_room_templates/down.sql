DROP TABLE room_templates;
DROP FUNCTION policy_note_template();
ALTER TABLE policy_pending
    DROP CONSTRAINT policy_pending_check1,
    ADD CONSTRAINT policy_pending_check1
        CHECK (kind NOT IN ('room_gone', 'address') OR name IS NOT NULL);
