DELETE FROM room_code_uses WHERE room_id NOT IN (SELECT id FROM rooms);
ALTER TABLE room_code_uses
    ADD CONSTRAINT room_code_uses_room_id_fkey
        FOREIGN KEY (room_id) REFERENCES rooms ON DELETE CASCADE;
DROP TRIGGER policy_room_templates_door_update ON room_templates;
ALTER TABLE room_templates
    DROP COLUMN password_phc,
    DROP COLUMN password_version,
    DROP COLUMN password_count,
    DROP COLUMN code_sealed,
    DROP COLUMN code_version,
    DROP COLUMN code_count,
    DROP COLUMN hook_url,
    DROP COLUMN hook_deadline_ms,
    DROP COLUMN hook_secret_sealed,
    DROP COLUMN hook_version,
    DROP COLUMN hook_count;
