DROP TABLE room_code_uses;
DROP TRIGGER policy_rooms_door_update ON rooms;
ALTER TABLE rooms
    DROP COLUMN code_sealed,
    DROP COLUMN code_version,
    DROP COLUMN code_count,
    DROP COLUMN hook_url,
    DROP COLUMN hook_deadline_ms,
    DROP COLUMN hook_secret_sealed,
    DROP COLUMN hook_version,
    DROP COLUMN hook_count;
