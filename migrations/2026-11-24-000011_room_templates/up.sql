-- Rules for every room whose name begins in some way and that has no row of its
-- own.

CREATE TABLE room_templates (
    id uuid PRIMARY KEY,
    -- How the names begin; a user's freeport is never covered.
    prefix text COLLATE "C" NOT NULL UNIQUE
        CHECK (octet_length(prefix) BETWEEN 1 AND 128 AND prefix !~ '^@'),
    -- As rooms.rules.
    rules bytea NOT NULL CHECK (octet_length(rules) <= 65536),
    labels jsonb NOT NULL DEFAULT '{}' CHECK (pg_column_size(labels) <= 65536),
    -- Grows with each change; the etag.
    version bigint NOT NULL DEFAULT 1,
    create_time timestamptz NOT NULL DEFAULT now(),
    update_time timestamptz NOT NULL DEFAULT now()
);

-- The log says of a template that is gone which one covers its names then.
ALTER TABLE policy_pending
    DROP CONSTRAINT policy_pending_check1,
    ADD CONSTRAINT policy_pending_check1
        CHECK (kind NOT IN ('room_gone', 'address', 'template_gone') OR name IS NOT NULL);

CREATE FUNCTION policy_note_template() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        INSERT INTO policy_pending (kind, subject_id, name)
        VALUES ('template_gone', OLD.id, OLD.prefix);
        RETURN NULL;
    END IF;
    IF TG_OP = 'UPDATE' AND (NEW.id <> OLD.id OR NEW.prefix <> OLD.prefix) THEN
        RAISE EXCEPTION 'a template keeps its identity and its prefix'
            USING ERRCODE = 'check_violation';
    END IF;
    INSERT INTO policy_pending (kind, subject_id) VALUES ('template', NEW.id);
    RETURN NULL;
END $$;

CREATE TRIGGER policy_room_templates_insert AFTER INSERT ON room_templates
    FOR EACH ROW EXECUTE FUNCTION policy_note_template();
CREATE TRIGGER policy_room_templates_update AFTER UPDATE ON room_templates
    FOR EACH ROW
    WHEN ((NEW.id, NEW.prefix, NEW.rules) IS DISTINCT FROM (OLD.id, OLD.prefix, OLD.rules))
    EXECUTE FUNCTION policy_note_template();
CREATE TRIGGER policy_room_templates_delete AFTER DELETE ON room_templates
    FOR EACH ROW EXECUTE FUNCTION policy_note_template();
