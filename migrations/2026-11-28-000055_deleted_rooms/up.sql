-- Which rooms were deleted, for nodes whose store has something of them still: the
-- node that was to forget it may have ended before it did. Only what is known to be
-- deleted is forgotten, never what is merely not there, for two control planes may
-- share a store. Kept for longer than any message that has an age.

CREATE TABLE deleted_rooms (
    id uuid PRIMARY KEY,
    delete_time timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX deleted_rooms_time ON deleted_rooms (delete_time);

CREATE FUNCTION note_deleted_room() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM deleted_rooms WHERE delete_time < now() - interval '400 days';
    INSERT INTO deleted_rooms (id) VALUES (OLD.id) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;

CREATE TRIGGER rooms_deleted AFTER DELETE ON rooms
    FOR EACH ROW EXECUTE FUNCTION note_deleted_room();
