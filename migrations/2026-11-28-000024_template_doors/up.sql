-- What a template asks at the doors of all rooms that it covers, by secrets of its
-- own; as of rooms.

ALTER TABLE room_templates
    -- Argon2id as a PHC string; null: no password.
    ADD COLUMN password_phc text,
    ADD COLUMN password_version bigint NOT NULL DEFAULT 0,
    ADD COLUMN password_count bigint NOT NULL DEFAULT 0,
    -- What codes are made of, sealed; null: no code.
    ADD COLUMN code_sealed bytea CHECK (octet_length(code_sealed) BETWEEN 1 AND 512),
    ADD COLUMN code_version bigint NOT NULL DEFAULT 0,
    ADD COLUMN code_count bigint NOT NULL DEFAULT 0,
    -- Null: no hook.
    ADD COLUMN hook_url text CHECK (octet_length(hook_url) BETWEEN 1 AND 255),
    ADD COLUMN hook_deadline_ms integer NOT NULL DEFAULT 0,
    -- What the backend is shown, sealed; null: nothing.
    ADD COLUMN hook_secret_sealed bytea CHECK (octet_length(hook_secret_sealed) BETWEEN 1 AND 2048),
    ADD COLUMN hook_version bigint NOT NULL DEFAULT 0,
    ADD COLUMN hook_count bigint NOT NULL DEFAULT 0,
    ADD CHECK ((password_phc IS NULL) = (password_version = 0)),
    ADD CHECK (password_version IN (0, password_count)),
    ADD CHECK ((code_sealed IS NULL) = (code_version = 0)),
    ADD CHECK (code_version IN (0, code_count)),
    ADD CHECK ((hook_url IS NULL) = (hook_version = 0)),
    ADD CHECK (hook_version IN (0, hook_count)),
    ADD CHECK (hook_url IS NOT NULL OR hook_secret_sealed IS NULL);

CREATE TRIGGER policy_room_templates_door_update AFTER UPDATE ON room_templates
    FOR EACH ROW
    WHEN ((NEW.password_version, NEW.code_version, NEW.hook_version)
        IS DISTINCT FROM (OLD.password_version, OLD.code_version, OLD.hook_version))
    EXECUTE FUNCTION policy_note_template();

-- Uses are of a room's code or of a template's. Those of one that is gone are of no
-- use, and go when they are old.
ALTER TABLE room_code_uses DROP CONSTRAINT room_code_uses_room_id_fkey;
