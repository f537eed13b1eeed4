-- Addresses that lead to rooms.

CREATE TABLE endpoints (
    id uuid PRIMARY KEY,
    -- `@` and a name, or a host's name; in lower case.
    address text COLLATE "C" NOT NULL UNIQUE CHECK (octet_length(address) BETWEEN 2 AND 253),
    -- An endpoint goes with its owner.
    owner_id uuid REFERENCES users ON DELETE CASCADE,
    -- The names of the rooms it leads to, in order. None: the owner's freeport.
    rooms text[] NOT NULL CHECK (cardinality(rooms) <= 16),
    access text NOT NULL CHECK (access IN ('anyone', 'users', 'owner')),
    -- Grows with each change; the etag.
    version bigint NOT NULL DEFAULT 1,
    create_time timestamptz NOT NULL DEFAULT now(),
    update_time timestamptz NOT NULL DEFAULT now(),
    CHECK (cardinality(rooms) > 0 OR owner_id IS NOT NULL)
);
CREATE INDEX endpoints_owner ON endpoints (owner_id);

-- A freeport is there because its user is.
ALTER TABLE rooms ADD CONSTRAINT rooms_no_freeport CHECK (name !~ '^@');

-- What is at an address is noted by the address. Which kinds there are the
-- reader of these rows knows: it refuses the commit of any other.
ALTER TABLE policy_pending
    DROP CONSTRAINT policy_pending_kind_check,
    ADD CONSTRAINT policy_pending_kind_check CHECK (kind ~ '^[a-z_]+$'),
    DROP CONSTRAINT policy_pending_check1,
    ADD CONSTRAINT policy_pending_check1
        CHECK (kind NOT IN ('room_gone', 'address') OR name IS NOT NULL);

CREATE FUNCTION policy_note_endpoint() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        INSERT INTO policy_pending (kind, subject_id, name) VALUES ('address', OLD.id, OLD.address);
        RETURN NULL;
    END IF;
    IF TG_OP = 'UPDATE' AND (NEW.id <> OLD.id OR NEW.address <> OLD.address) THEN
        RAISE EXCEPTION 'an endpoint keeps its identity and its address'
            USING ERRCODE = 'check_violation';
    END IF;
    INSERT INTO policy_pending (kind, subject_id, name) VALUES ('address', NEW.id, NEW.address);
    RETURN NULL;
END $$;

CREATE TRIGGER policy_endpoints_insert AFTER INSERT ON endpoints
    FOR EACH ROW EXECUTE FUNCTION policy_note_endpoint();
CREATE TRIGGER policy_endpoints_update AFTER UPDATE ON endpoints
    FOR EACH ROW
    WHEN ((NEW.id, NEW.address, NEW.owner_id, NEW.rooms, NEW.access)
        IS DISTINCT FROM (OLD.id, OLD.address, OLD.owner_id, OLD.rooms, OLD.access))
    EXECUTE FUNCTION policy_note_endpoint();
CREATE TRIGGER policy_endpoints_delete AFTER DELETE ON endpoints
    FOR EACH ROW EXECUTE FUNCTION policy_note_endpoint();

-- A user's freeport goes with the user, so that the next one of the name has
-- another. A user's name never changes.
CREATE FUNCTION policy_note_freeport() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO policy_pending (kind, subject_id, name)
    VALUES ('address', OLD.id, '@' || OLD.username);
    RETURN NULL;
END $$;

CREATE TRIGGER policy_users_freeport AFTER DELETE ON users
    FOR EACH ROW EXECUTE FUNCTION policy_note_freeport();
