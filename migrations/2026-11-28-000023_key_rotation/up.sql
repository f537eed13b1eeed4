-- A key that is rotated takes its old secret for a while longer.

ALTER TABLE api_keys
    ADD COLUMN previous_sha256 bytea UNIQUE CHECK (octet_length(previous_sha256) = 32),
    ADD COLUMN previous_until timestamptz,
    ADD COLUMN rotate_time timestamptz,
    ADD CHECK ((previous_sha256 IS NULL) = (previous_until IS NULL));
