-- Persistent rooms, their rules, and their members.

CREATE TABLE rooms (
    id uuid PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE CHECK (octet_length(name) BETWEEN 1 AND 255),
    owner_id uuid REFERENCES users ON DELETE SET NULL,
    members_only boolean NOT NULL DEFAULT false,
    user_required boolean NOT NULL DEFAULT false,
    text_refused boolean NOT NULL DEFAULT false,
    binary_refused boolean NOT NULL DEFAULT false,
    message_bytes_max integer NOT NULL DEFAULT 65536 CHECK (message_bytes_max BETWEEN 1 AND 16777216),
    echo boolean NOT NULL DEFAULT false,
    receivers_named boolean NOT NULL DEFAULT true,
    admit_max_ms bigint NOT NULL DEFAULT 900000 CHECK (admit_max_ms >= 0),
    -- Null: without limit.
    deliver_max_ms bigint CHECK (deliver_max_ms >= 0),
    -- Argon2id as a PHC string; null: no password.
    password_phc text,
    -- The version of the password, 0 when there is none. It is drawn from
    -- `password_count`, which never falls, so no version names two passwords.
    password_version bigint NOT NULL DEFAULT 0,
    password_count bigint NOT NULL DEFAULT 0,
    labels jsonb NOT NULL DEFAULT '{}' CHECK (pg_column_size(labels) <= 65536),
    -- Grows with each change; the etag.
    version bigint NOT NULL DEFAULT 1,
    create_time timestamptz NOT NULL DEFAULT now(),
    update_time timestamptz NOT NULL DEFAULT now(),
    CHECK (NOT (text_refused AND binary_refused)),
    CHECK ((password_phc IS NULL) = (password_version = 0)),
    CHECK (password_version IN (0, password_count))
);
CREATE INDEX rooms_owner ON rooms (owner_id);

CREATE TABLE members (
    room_id uuid NOT NULL REFERENCES rooms ON DELETE CASCADE,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    -- Null: never.
    expire_time timestamptz,
    version bigint NOT NULL DEFAULT 1,
    create_time timestamptz NOT NULL DEFAULT now(),
    update_time timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (room_id, user_id)
);
CREATE INDEX members_user ON members (user_id);
