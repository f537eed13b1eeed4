-- Who did what, when, from where: append only, and hash chained.

CREATE TABLE audit_log (
    number bigint PRIMARY KEY CHECK (number > 0),
    -- SHA-256(chain of the event before, followed by payload).
    chain bytea NOT NULL CHECK (octet_length(chain) = 32),
    -- A serialised porthouse.control.v1.AuditEvent, without its name and chain.
    payload bytea NOT NULL CHECK (octet_length(payload) <= 16384),
    -- Copies of what the payload says, to look events up by.
    time timestamptz NOT NULL,
    actor text COLLATE "C" NOT NULL,
    action text COLLATE "C" NOT NULL
);
CREATE INDEX audit_log_actor ON audit_log (actor, number);
CREATE INDEX audit_log_action ON audit_log (action, number);

CREATE FUNCTION audit_log_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log only grows' USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE TRIGGER audit_log_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION audit_log_refuse();

-- An owner may grant it back to itself, and drop the trigger; a service that is
-- not the owner may not.
REVOKE UPDATE, DELETE, TRUNCATE ON audit_log FROM PUBLIC, CURRENT_USER;
