-- Users, their sessions, and the keys of services.

CREATE TABLE users (
    id uuid PRIMARY KEY,
    username text COLLATE "C" NOT NULL UNIQUE CHECK (octet_length(username) BETWEEN 1 AND 255),
    display_name text NOT NULL DEFAULT '' CHECK (octet_length(display_name) <= 1024),
    disabled boolean NOT NULL DEFAULT false,
    labels jsonb NOT NULL DEFAULT '{}' CHECK (pg_column_size(labels) <= 65536),
    -- Argon2id as a PHC string; null: this user has no password.
    password_phc text,
    -- Grows when the password changes, and not when it is merely hashed anew.
    password_version bigint NOT NULL DEFAULT 0,
    -- Grows with each change; the etag.
    version bigint NOT NULL DEFAULT 1,
    create_time timestamptz NOT NULL DEFAULT now(),
    update_time timestamptz NOT NULL DEFAULT now()
);

-- A session that is revoked is deleted; the policy log says that it ended.
CREATE TABLE sessions (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    token_sha256 bytea NOT NULL UNIQUE CHECK (octet_length(token_sha256) = 32),
    create_time timestamptz NOT NULL DEFAULT now(),
    last_seen_time timestamptz NOT NULL DEFAULT now(),
    expire_time timestamptz NOT NULL,
    client_address text NOT NULL DEFAULT '' CHECK (octet_length(client_address) <= 255),
    user_agent text NOT NULL DEFAULT '' CHECK (octet_length(user_agent) <= 1024)
);
CREATE INDEX sessions_user ON sessions (user_id, id);
CREATE INDEX sessions_expire ON sessions (expire_time);

-- A key that is revoked is deleted.
CREATE TABLE api_keys (
    id uuid PRIMARY KEY,
    display_name text NOT NULL DEFAULT '' CHECK (octet_length(display_name) <= 1024),
    secret_sha256 bytea NOT NULL UNIQUE CHECK (octet_length(secret_sha256) = 32),
    scopes text[] NOT NULL CHECK (cardinality(scopes) BETWEEN 1 AND 32),
    -- Null: never.
    expire_time timestamptz,
    last_used_time timestamptz,
    version bigint NOT NULL DEFAULT 1,
    create_time timestamptz NOT NULL DEFAULT now()
);
